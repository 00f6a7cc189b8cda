"""Scores of generated against real images, their values by torch-fidelity's own functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.extractors import METRICS

__all__ = ["Evaluator", "Scores", "check_num_fake", "extract"]

#: torch-fidelity's default: the order in which the Inception Score's splits are drawn
SHUFFLE_SEED = 2020


@dataclass(frozen=True)
class Scores:
    """Scores and what they mean.

    Attributes:
        values: "isc" (mean over the splits), "isc_std" and "fid".
        protocol: extractor, reference split, n_real, n_fake, weights (EMA or not) and IS splits.
    """

    values: dict[str, float]
    protocol: dict[str, Any]

    def line(self) -> str:
        """Every value with its protocol, on one line."""
        p = self.protocol
        values = f"FID {self.values['fid']:.2f}  IS {self.values['isc']:.2f} +- {self.values['isc_std']:.2f}"
        return (
            f"{values}  ({p['extractor']} features; {p['n_fake']} {p['fake']} against {p['n_real']} {p['reference']}; "
            f"IS over {p['isc_splits']} splits)"
        )


class Evaluator:
    """Scores sets of fakes against one reference, whose features are extracted once.

    Args:
        extractor: of `create_extractor`.
        reference: real images, uint8, shape (N, C, H, W).
        reference_name: what they are, such as "digits train images".
        isc_splits: parts over which the Inception Score's mean and deviation are taken.
        batch_size: images in one forward of the extractor.

    Raises:
        BadInput: fewer than two reference images.
    """

    def __init__(
        self,
        extractor: FeatureExtractorBase,
        reference: Tensor,
        reference_name: str,
        *,
        isc_splits: int = 10,
        batch_size: int = 64,
    ) -> None:
        if len(reference) < 2:
            raise BadInput(f"FID needs 2 or more real images, and there are {len(reference)}")
        self.extractor = extractor
        self.layer = {metric: extractor.get_default_feature_layer_for_metric(metric) for metric in METRICS}
        self.reference_name = reference_name
        self.num_reference = len(reference)
        self.isc_splits = isc_splits
        self.batch_size = batch_size
        features = extract(extractor, reference, batch_size)[self.layer["fid"]]
        self.statistics = fid_features_to_statistics(features)

    def __call__(self, fakes: Tensor, fakes_name: str = "images") -> Scores:
        """Score fakes.

        Args:
            fakes: uint8, shape (N, C, H, W).
            fakes_name: what they are, such as "EMA samples".

        Raises:
            BadInput: fewer fakes than IS splits, or fewer than two.
        """
        check_num_fake(len(fakes), self.isc_splits)
        features = extract(self.extractor, fakes, self.batch_size)
        isc = isc_features_to_metric(features[self.layer["isc"]], self.isc_splits, True, SHUFFLE_SEED)
        fakes_statistics = fid_features_to_statistics(features[self.layer["fid"]])
        fid = fid_statistics_to_metric(fakes_statistics, self.statistics, verbose=False)
        return Scores(
            values={
                "fid": fid[KEY_METRIC_FID],
                "isc": isc[KEY_METRIC_ISC_MEAN],
                "isc_std": isc[KEY_METRIC_ISC_STD],
            },
            protocol={
                "extractor": self.extractor.get_name(),
                "reference": self.reference_name,
                "n_real": self.num_reference,
                "fake": fakes_name,
                "n_fake": len(fakes),
                "isc_splits": self.isc_splits,
            },
        )


def check_num_fake(num_fake: int, isc_splits: int) -> None:
    """Whether so many fakes can be scored.

    Raises:
        BadInput: fewer than one in every split of the Inception Score, fewer than the two of a covariance, or no split.
    """
    if isc_splits < 1:
        raise BadInput(f"isc_splits is {isc_splits}, and must be 1 or more")
    needed = max(2, isc_splits)
    if num_fake < needed:
        raise BadInput(f"num_fake is {num_fake}; FID and IS over {isc_splits} splits need {needed} or more")


@torch.no_grad()
def extract(extractor: FeatureExtractorBase, images: Tensor, batch_size: int = 64) -> dict[str, Tensor]:
    """Features of images, in their order.

    Args:
        extractor: of `create_extractor`.
        images: uint8, shape (N, C, H, W); grey images are repeated to the three channels an extractor of colour needs.
        batch_size: images in one forward.

    Returns:
        For each of the extractor's layers a float tensor of shape (N, D), on the CPU.

    Raises:
        BadInput: images of another type or shape.
    """
    if images.dtype != torch.uint8 or images.dim() != 4:
        raise BadInput(f"images are {images.dtype} of shape {tuple(images.shape)}; expected uint8 of (N, C, H, W)")
    device = next(extractor.parameters()).device
    layers: dict[str, list[Tensor]] = {name: [] for name in extractor.get_requested_features_list()}
    for batch in images.split(batch_size):
        found = extractor.convert_features_tuple_to_dict(extractor(_fit_channels(batch, extractor).to(device)))
        for name, values in found.items():
            layers[name].append(values.cpu())
    return {name: torch.cat(parts) for name, parts in layers.items()}


def _fit_channels(images: Tensor, extractor: FeatureExtractorBase) -> Tensor:
    from gan_convnorm.fidelity.classifier import ClassifierFeatures

    if images.shape[1] == 1 and not isinstance(extractor, ClassifierFeatures):
        return images.expand(-1, 3, -1, -1)
    return images
