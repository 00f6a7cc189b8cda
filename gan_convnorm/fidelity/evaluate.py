"""Scores of generated against real images, their values by torch-fidelity's own functions."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch_fidelity
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.cache import cache_path, read_cached, write_cached
from gan_convnorm.fidelity.devices import usable_device
from gan_convnorm.fidelity.extractors import create_extractor, weights_digest
from gan_convnorm.fidelity.features import Progress, extract
from gan_convnorm.fidelity.images import Images, as_images
from gan_convnorm.fidelity.metrics import (
    effective_rank,
    frechet_distance,
    inception_score,
    kernel_distance,
    parse_metrics,
    precision_and_recall,
    statistics,
)
from gan_convnorm.fidelity.processes import Processes
from gan_convnorm.score_table import protocol_in_words, titles, write_score

__all__ = ["Evaluator", "Scores", "check_num_fake", "check_numbers", "evaluate"]

KID_SUBSETS, KID_SUBSET_SIZE = 100, 1000  # torch-fidelity's defaults


@dataclass(frozen=True)
class Scores:
    """Scores and what they mean.

    Attributes:
        values: "isc" and "isc_std" (mean and deviation over the splits), "fid", "kid" and "kid_std" (over the
            subsets), "precision", "recall"; those that were asked for.
        protocol: extractor, what was compared and how many of each, IS splits, KID subsets.
        ranks: effective rank of the features' covariance, of "fake" and "real"; with FID alone.
    """

    values: dict[str, float]
    protocol: dict[str, Any]
    ranks: dict[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """Every value, on one line."""
        return "  ".join(f"{title} {write_score(self.values, name)}" for name, title in titles(self.values).items())

    def meaning(self) -> str:
        """The protocol, on one line."""
        return protocol_in_words(self.protocol)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


class Evaluator:
    """Scores sets of fakes against one reference, whose features are extracted once, or read from the cache.

    With `torch.distributed` initialized every process makes one and calls it with the same arguments: each extracts
    its share, and all get the scores.

    Args:
        extractor: of `create_extractor`, for these metrics at least.
        reference: real images, as `evaluate` takes them; None where only the Inception Score is asked for.
        metrics: of `METRICS`.
        reference_name: what the real images are, such as "digits train images".
        isc_splits: parts over which the Inception Score's mean and deviation are taken.
        kid_subset_size: images in each of the 100 subsets that KID is taken over; by default torch-fidelity's 1,000, or
            all of the smaller set.
        batch_size: images in one forward of the extractor.
        progress: told of the images that are done and of all.

    Raises:
        BadInput: fewer than two reference images, or none.
    """

    def __init__(
        self,
        extractor: FeatureExtractorBase,
        reference: Any = None,
        *,
        metrics: str | list[str] | tuple[str, ...] = ("isc", "fid"),
        reference_name: str | None = None,
        isc_splits: int = 10,
        kid_subset_size: int | None = None,
        batch_size: int = 64,
        progress: Progress | None = None,
    ) -> None:
        _check_sizes(batch_size, kid_subset_size)
        self.extractor = extractor
        self.metrics = parse_metrics(metrics)
        self.layer = {metric: extractor.get_default_feature_layer_for_metric(metric) for metric in self.metrics}
        missing = set(self.layer.values()) - set(extractor.get_requested_features_list())
        if missing:
            raise BadInput(f"the extractor was created without {', '.join(missing)}: name the metrics there as well")
        self.isc_splits = isc_splits
        self.kid_subset_size = kid_subset_size
        self.batch_size = batch_size
        self.progress = progress
        self.processes = Processes.current()
        self.reference: Images | None = None
        self.real: dict[str, Any] = {}
        compared = [metric for metric in self.metrics if metric != "isc"]
        if compared:
            if reference is None:
                raise BadInput(f"{', '.join(compared)} compare with real images, and no reference is given")
            self.reference = self.processes.together(lambda: as_images(reference, name=reference_name))
            self.reference_name = reference_name or self.reference.name
            self._extract_reference(self.reference)

    def _extract_reference(self, reference: Images) -> None:
        needs_rows = "kid" in self.metrics or "prc" in self.metrics
        kind = "features" if needs_rows else "statistics"
        layers = sorted({self.layer[metric] for metric in self.metrics if metric != "isc"})
        path: Path | None = None

        def look_up() -> tuple[bool, int]:
            nonlocal path
            digest = reference.digest()
            if digest is None:
                return False, 0
            name = self.extractor.get_name()
            path = cache_path(kind, torch_fidelity.__version__, name, layers, weights_digest(self.extractor), digest)
            found = read_cached(path)
            self.real = found or {}
            return found is not None, self.real.get("count", 0)

        cached, self.num_reference = self.processes.from_first(look_up)
        if not cached:
            found = extract(
                self.extractor,
                reference,
                batch_size=self.batch_size,
                processes=self.processes,
                progress=self.progress,
            )

            def keep() -> int:
                assert found is not None
                count = len(next(iter(found.values())))
                if count < 2:
                    raise BadInput(f"FID and KID need 2 or more real images, and there are {count}")
                self.real = {"count": count}
                for layer in layers:
                    self.real[layer] = found[layer] if needs_rows else statistics(found[layer])
                if path is not None:
                    write_cached(path, self.real)
                return count

            self.num_reference = self.processes.from_first(keep)
        if self.processes.rank == 0 and "fid" in self.metrics:
            kept = self.real[self.layer["fid"]]
            self.real_statistics = statistics(kept) if needs_rows else kept

    def __call__(self, fakes: Any, fakes_name: str | None = None) -> Scores:
        """Score fakes.

        Args:
            fakes: images, as `evaluate` takes them.
            fakes_name: what they are, such as "EMA samples".

        Raises:
            BadInput: fewer than two fakes, or than two in every split of the Inception Score.
        """
        images = self.processes.together(lambda: self._fakes(fakes, fakes_name))
        features = extract(
            self.extractor,
            images,
            batch_size=self.batch_size,
            processes=self.processes,
            progress=self.progress,
        )
        return self.processes.from_first(lambda: self._score(images, features))

    def _fakes(self, fakes: Any, name: str | None) -> Images:
        images = as_images(fakes, name=name)
        check_num_fake(len(images), self.isc_splits, self.metrics)
        return images

    def _score(self, images: Images, features: dict[str, Tensor] | None) -> Scores:
        assert features is not None
        count = len(next(iter(features.values())))
        check_num_fake(count, self.isc_splits, self.metrics)  # unreadable files may have been left out
        values: dict[str, float] = {}
        ranks: dict[str, float] = {}
        protocol: dict[str, Any] = {"extractor": self.extractor.get_name(), "fake": images.name, "n_fake": count}
        if self.reference is not None:
            protocol |= {"reference": self.reference_name, "n_real": self.num_reference}
        if "isc" in self.metrics:
            values |= inception_score(features[self.layer["isc"]], self.isc_splits)
            protocol["isc_splits"] = self.isc_splits
        if "fid" in self.metrics:
            rows = features[self.layer["fid"]]
            fewer = min(count, self.num_reference)
            if fewer <= rows.shape[1]:
                warnings.warn(
                    f"FID of {count} fakes and {self.num_reference} real images on {rows.shape[1]} features is far too "
                    "high: a covariance needs more images than features; compare only scores of the same numbers",
                    stacklevel=2,
                )
            found = statistics(rows)
            values |= frechet_distance(found, self.real_statistics)
            ranks = {"fake": effective_rank(found), "real": effective_rank(self.real_statistics)}
        if "kid" in self.metrics:
            size = self.kid_subset_size
            if size is None:
                size = min(KID_SUBSET_SIZE, count, self.num_reference)
            if size > min(count, self.num_reference):
                raise BadInput(
                    f"kid_subset_size is {size}, and there are {count} fakes and {self.num_reference} real images"
                )
            layer = self.layer["kid"]
            values |= kernel_distance(features[layer], self.real[layer], KID_SUBSETS, size)
            if size == count == self.num_reference:
                warnings.warn(
                    f"KID's deviation says nothing: each of its {KID_SUBSETS} subsets is all {size} images; a smaller "
                    "kid_subset_size (--kid-subset-size) gives one",
                    stacklevel=2,
                )
            protocol |= {"kid_subsets": KID_SUBSETS, "kid_subset_size": size}
        if "prc" in self.metrics:
            check_numbers(count, self.num_reference, self.metrics)
            layer = self.layer["prc"]
            values |= precision_and_recall(features[layer], self.real[layer])
        return Scores(values, protocol, ranks)


def evaluate(
    source: Any,
    reference: Any = None,
    *,
    metrics: str | list[str] | tuple[str, ...] = ("isc", "fid"),
    extractor: str | FeatureExtractorBase = "inception",
    extractor_weights: str | Path | None = None,
    labelled: tuple[Tensor, Tensor] | None = None,
    num_fake: int = 50_000,
    batch_size: int = 64,
    isc_splits: int = 10,
    kid_subset_size: int | None = None,
    seed: int = 0,
    ema: bool = True,
    latent_dim: int = 128,
    resize: int | None = None,
    skip_bad: bool = False,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Score images against real ones; every value equals `torch_fidelity.calculate_metrics`'s on the same images.

    FID alone may differ: below 0 by no more than its arithmetic's error, it is 0 here.

    Args:
        source: uint8 images (N, C, H, W); a folder of images; an .npz or .npy file of uint8 images; a checkpoint file
            of a run; a LightningModule with `sample(n, seed=, ema=, first=)`; or a callable from normal noise
            (n, latent_dim) to uint8 images.
        reference: real images, in the same ways.
        metrics: of isc, fid, kid, prc.
        extractor: a key of `EXTRACTORS`, a name in torch-fidelity's registry, or one of `create_extractor`.
        extractor_weights: its weights file; downloaded by default, and trained for "classifier".
        labelled: images and labels that "classifier" is trained on.
        num_fake: how many images are generated, where they are generated.
        batch_size: images in one forward of the extractor.
        isc_splits: parts over which the Inception Score's mean and deviation are taken.
        kid_subset_size: see `Evaluator`.
        seed: seeds the noise; images do not depend on the number of processes.
        ema: from the averaged weights, else from the current ones.
        latent_dim: length of a callable's noise vectors.
        resize: side in pixels to which the images of folders and arrays are brought.
        skip_bad: leave out unreadable files in place of refusing the folder.
        device: where the extractor runs; a GPU where there is one.
        progress: told of the images that are done and of all.

    Raises:
        BadInput: images, weights or numbers that cannot be used.
    """
    metrics = parse_metrics(metrics)
    _check_sizes(batch_size, kid_subset_size)
    device = usable_device(device)
    options: dict[str, Any] = {"num_fake": num_fake, "seed": seed, "ema": ema, "latent_dim": latent_dim}
    options |= {"device": device, "resize": resize, "skip_bad": skip_bad}

    def sources() -> tuple[Images, Images | None]:
        images = as_images(source, **options)
        check_num_fake(len(images), isc_splits, metrics)
        return images, None if reference is None else as_images(reference, **options)

    # Before the extractor, which may be a long download away.
    images, real = Processes.current().together(sources)
    if isinstance(extractor, str):
        extractor = create_extractor(
            extractor, metrics=metrics, device=device, labelled=labelled, weights=extractor_weights
        )
    evaluator = Evaluator(
        extractor,
        real,
        metrics=metrics,
        isc_splits=isc_splits,
        kid_subset_size=kid_subset_size,
        batch_size=batch_size,
        progress=progress,
    )
    return evaluator(images)


def _check_sizes(batch_size: int, kid_subset_size: int | None) -> None:
    if batch_size < 1:
        raise BadInput(f"batch_size is {batch_size}, and must be 1 or more (--batch-size)")
    if kid_subset_size is not None and kid_subset_size < 2:
        raise BadInput(
            f"kid_subset_size is {kid_subset_size}, and must be 2 or more (--kid-subset-size): KID compares the images "
            "of a subset with each other"
        )


def check_num_fake(num_fake: int, isc_splits: int, metrics: Iterable[str] = ("isc", "fid")) -> None:
    """Refuse numbers of fakes that cannot be scored.

    Raises:
        BadInput: fewer than two in every split of the Inception Score (one gives 1), fewer than the two of a
            covariance, or no split.
    """
    if isc_splits < 1:
        raise BadInput(f"isc_splits is {isc_splits}, and must be 1 or more (--isc-splits)")
    needed = 2 * isc_splits if "isc" in metrics else 2
    if num_fake < needed:
        what = f"IS over {isc_splits} splits needs" if "isc" in metrics else "scores need"
        raise BadInput(f"there are {num_fake} fakes; {what} {needed} or more (--num-fake)")


def check_numbers(num_fake: int, num_real: int, metrics: Iterable[str] = ("isc", "fid")) -> None:
    """Refuse numbers of fakes and real images that cannot be compared.

    Raises:
        BadInput: fewer than two, or for precision and recall than four.
    """
    if {"fid", "kid"} & set(metrics) and num_real < 2:
        raise BadInput(f"FID and KID need 2 or more real images, and there are {num_real}")
    if "prc" in metrics and min(num_fake, num_real) < 4:
        raise BadInput(
            f"precision and recall look at 3 neighbours, and need 4 or more images of either kind; there are "
            f"{num_fake} fakes and {num_real} real images"
        )
