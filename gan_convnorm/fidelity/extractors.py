"""Feature extractors by name, through torch-fidelity's registry."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY
from torch_fidelity.utils import create_feature_extractor

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import classifier

__all__ = ["EXTRACTORS", "METRICS", "create_extractor", "registered_name"]

METRICS = ("isc", "fid")

#: short name on the command line -> name in torch-fidelity's registry
EXTRACTORS = {"classifier": classifier.NAME, "inception": "inception-v3-compat"}


def registered_name(name: str) -> str:
    """The name in torch-fidelity's registry.

    Raises:
        BadInput: an unknown name; lists the choices.
    """
    if name not in EXTRACTORS:
        raise BadInput(f"extractor {name!r} is not known; choose one of: {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name]


def create_extractor(
    name: str,
    *,
    device: torch.device | str = "cpu",
    labelled: tuple[Tensor, Tensor] | None = None,
    weights: str | None = None,
) -> FeatureExtractorBase:
    """A feature extractor, ready for use in evaluation mode.

    Args:
        name: a key of `EXTRACTORS`.
        device: where it runs.
        labelled: uint8 images (N, C, H, W) and int64 labels (N,) that "classifier" is trained on.
        weights: a weights file in torch-fidelity's format, in place of a download or a training.

    Raises:
        BadInput: an unknown name, a classifier without labels, or weights that cannot be had.
    """
    registered = registered_name(name)
    layer_of = FEATURE_EXTRACTORS_REGISTRY[registered].get_default_feature_layer_for_metric
    layers = list(dict.fromkeys(layer_of(metric) for metric in METRICS))
    if name == "classifier" and weights is None:
        if labelled is None:
            raise BadInput("extractor 'classifier' needs labelled images, and the data has none; choose: inception")
        weights = str(classifier.trained_weights(*labelled))
    try:
        extractor = create_feature_extractor(
            registered, layers, cuda=False, verbose=False, feature_extractor_weights_path=weights
        )
    except Exception as error:  # torch-fidelity raises as its download or its file reading does
        advice = (
            f"expected a file of this extractor's weights in {weights}"
            if weights is not None
            else f"torch-fidelity downloads them into the torch hub folder {torch.hub.get_dir()}/checkpoints, so go "
            "online once or put the file there, or choose --extractor classifier"
        )
        raise BadInput(
            f"extractor {name!r}: its weights cannot be loaded ({type(error).__name__}: {error}); {advice}"
        ) from error
    return extractor.to(device)
