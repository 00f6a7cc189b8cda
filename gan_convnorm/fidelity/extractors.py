"""Feature extractors by name, through torch-fidelity's registry."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY
from torch_fidelity.utils import create_feature_extractor

from gan_convnorm.errors import BadInput, reason_of
from gan_convnorm.fidelity import classifier_features
from gan_convnorm.fidelity.classifier import trained_weights
from gan_convnorm.fidelity.extractor_weights import check_weights_file, weights_origin
from gan_convnorm.fidelity.image_set import check_batch
from gan_convnorm.fidelity.metrics import METRICS
from gan_convnorm.fidelity.processes import Processes

__all__ = [
    "EXTRACTORS",
    "check_labelled",
    "create_extractor",
    "layer_for",
    "registered_name",
]

#: short name on the command line -> name in torch-fidelity's registry, whose own names are taken as well
EXTRACTORS = {
    "classifier": classifier_features.NAME,
    "inception": "inception-v3-compat",
    "dinov2": "dinov2-vit-b-14",
    "clip": "clip-vit-b-32",
    "vgg16": "vgg16",
}


def registered_name(name: str) -> str:
    """Return an extractor's name in torch-fidelity's registry.

    >>> registered_name("inception")
    'inception-v3-compat'

    Args:
        name: a key of `EXTRACTORS`, or the registered name itself.

    Returns:
        The registered name.

    Raises:
        BadInput: an unknown name; lists the choices.
    """
    registered = EXTRACTORS.get(name, name)
    if registered not in FEATURE_EXTRACTORS_REGISTRY:
        others = sorted(set(FEATURE_EXTRACTORS_REGISTRY) - set(EXTRACTORS.values()))
        raise BadInput(f"extractor {name!r} is not known; choose one of: {', '.join([*EXTRACTORS, *others])}")
    return registered


def layer_for(name: str, metric: str) -> str:
    """Return the layer whose features torch-fidelity takes for a metric.

    >>> layer_for("inception", "fid")
    '2048'
    """
    layer: str = FEATURE_EXTRACTORS_REGISTRY[registered_name(name)].get_default_feature_layer_for_metric(metric)
    return layer


def create_extractor(
    name: str,
    *,
    metrics: Iterable[str] = METRICS,
    device: torch.device | str = "cpu",
    labelled: tuple[Tensor, ...] | None = None,
    weights: str | Path | None = None,
) -> FeatureExtractorBase:
    """Return a feature extractor in evaluation mode.

    Training of "classifier" takes up to a few minutes on a CPU, shows how far it is, and is cached by content.
    With `torch.distributed` initialized every process must call this: a classifier is trained on the first.

    >>> create_extractor("incpetion")
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: extractor 'incpetion' is not known; choose one of: classifier, inception, ...

    Args:
        name: a key of `EXTRACTORS`, or a name in torch-fidelity's registry.
        metrics: what its features are for; it computes the layers they need.
        device: where it runs.
        labelled: uint8 images (N, C, H, W) that "classifier" is trained on, and labels where there are some.
            Without classes, int64 (N,), it is trained to recognize rotated images.
        weights: a weights file in torch-fidelity's format; by default downloaded, or trained for "classifier".

    Returns:
        torch-fidelity's extractor.

    An unknown name, a classifier without images, and weights that cannot be read or downloaded raise `BadInput`.
    """
    registered = registered_name(name)
    layers = list(dict.fromkeys(layer_for(name, metric) for metric in metrics))
    processes = Processes.current()
    if registered == classifier_features.NAME and weights is None:
        check_labelled(labelled)
        assert labelled is not None
        images, labels = (*labelled, None)[:2]
        assert images is not None
        # Vectors are no classes.
        labels = None if labels is None or labels.is_floating_point() else labels.long()
        train = partial(trained_weights, images, labels, device)
        trained: Path = processes.from_first(train)
        weights = trained if trained.exists() else train()  # on another machine
    return processes.together(lambda: _create(name, layers, weights)).to(device)


def check_labelled(labelled: tuple[Tensor, ...] | None) -> None:
    """Raise when there are no images to train the classifier on, or labels that are not theirs.

    >>> check_labelled((torch.zeros(5, 1, 4, 4, dtype=torch.uint8),))

    Raises:
        BadInput: says what is expected.
    """
    if labelled is None:
        raise BadInput(
            "extractor 'classifier' is trained on real images, and there are none; give a reference, or the weights of "
            "a trained one with --extractor-weights"
        )
    if not isinstance(labelled, (tuple, list)) or not 1 <= len(labelled) <= 2:
        raise BadInput("labelled must be a tuple of images, or of images and labels, which 'classifier' is trained on")
    images, *labels = labelled
    check_batch(images, "the images that 'classifier' is trained on")
    if not labels:
        return
    if not isinstance(labels[0], Tensor) or len(labels[0]) != len(images):
        found = len(labels[0]) if isinstance(labels[0], Tensor) else type(labels[0]).__name__
        raise BadInput(
            f"the labels that 'classifier' is trained on are {found}; expected one for each of {len(images)}"
        )
    if labels[0].is_floating_point():
        return
    most = classifier_features.MOST - 1
    if labels[0].dim() != 1 or bool(((labels[0] < 0) | (labels[0] > most)).any()):
        raise BadInput(
            f"the labels that 'classifier' is trained on must be whole numbers from 0 to {most}, of shape (N,)"
        )


def _create(name: str, layers: list[str], weights: str | Path | None) -> FeatureExtractorBase:
    registered = registered_name(name)
    try:
        if weights is not None:
            check_weights_file(registered, Path(weights))
        # A network's first weights are drawn from the global random state, which is the training's.
        with torch.random.fork_rng():
            return create_feature_extractor(
                registered,
                layers,
                cuda=False,
                verbose=False,
                feature_extractor_weights_path=None if weights is None else str(weights),
            )
    except BadInput:
        raise
    except NotImplementedError as error:
        raise BadInput(f"extractor {name!r}: torch-fidelity cannot read its weights from a file") from error
    except Exception as error:  # downloads and files raise many types
        reason = reason_of(error)
        if weights is not None:
            raise BadInput(
                f"extractor {name!r}: {weights} does not hold its weights ({reason}); expected the file that "
                f"{weights_origin(registered)}"
            ) from error
        raise BadInput(
            f"extractor {name!r}: its weights cannot be downloaded ({reason}); fetch the file that "
            f"{weights_origin(registered)} where there is a network, and put it into {torch.hub.get_dir()}/checkpoints "
            "or give it with --extractor-weights FILE; or choose --extractor classifier"
        ) from error
