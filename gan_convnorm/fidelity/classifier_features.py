"""Features of the small network that is trained on the data, in torch-fidelity's interface."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_fidelity import register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.classifier import FROM_LABELS, FROM_ROTATIONS
from gan_convnorm.fidelity.extractor_weights import weights_digest
from gan_convnorm.fidelity.small_network import SmallNetwork
from gan_convnorm.files.tensors import load_tensors
from gan_convnorm.images.size import Size

__all__ = ["NAME", "ClassifierFeatures", "classifier_in_protocol"]

#: in torch-fidelity's registry
NAME = FROM_LABELS
#: channels and classes that a weights file may ask for
MOST = 65536
#: held-out accuracy below which a warning is given
TRUSTED = 0.9


class ClassifierFeatures(FeatureExtractorBase):  # type: ignore[misc,unused-ignore]
    """`SmallNetwork` in torch-fidelity's interface, with the layers "features" (64) and "logits".

    >>> from gan_convnorm.fidelity.classifier import trained_weights
    >>> images = torch.randint(0, 256, (9, 1, 4, 4), dtype=torch.uint8)
    >>> weights = trained_weights(images, torch.arange(9) % 2)
    >>> extractor = ClassifierFeatures(NAME, ["features", "logits"], str(weights))
    >>> [layer.shape for layer in extractor(images)]
    [torch.Size([9, 64]), torch.Size([9, 2])]

    Args:
        name: the registered name.
        features_list: the layers to return.
        feature_extractor_weights_path: a file of `trained_weights`.

    Attributes:
        accuracy: share of held-out images that the network classifies right, from 0 to 1; None if none was held out.
        held_out: their number.
        path: the weights file.

    Raises:
        BadInput: the file holds no network of this version.
    """

    def __init__(
        self, name: str, features_list: list[str], feature_extractor_weights_path: str | None = None, **kwargs: object
    ) -> None:
        if feature_extractor_weights_path is None:
            raise ValueError(f"feature extractor {name!r} needs feature_extractor_weights_path")
        self.path = Path(feature_extractor_weights_path)
        saved: Any = load_tensors(self.path)
        names = ("resolution", "channels", "num_classes")
        shape = saved.get("shape") if isinstance(saved, dict) else None
        if not isinstance(shape, dict) or not (
            _is_size(shape.get("resolution"))
            and all(type(shape.get(name)) is int and 0 < shape[name] <= MOST for name in names[1:])
        ):
            raise BadInput(f"{feature_extractor_weights_path} does not hold a trained classifier: it has no shape")
        if saved.get("learned") not in (FROM_LABELS, FROM_ROTATIONS):
            raise BadInput(
                f"{feature_extractor_weights_path} holds a classifier of another version; expected "
                f"{FROM_LABELS} or {FROM_ROTATIONS}: train it again"
            )
        super().__init__(saved["learned"], features_list)
        accuracy, held_out = saved.get("accuracy"), saved.get("held_out")
        self.accuracy = accuracy if isinstance(accuracy, float) else None
        self.held_out = held_out if isinstance(held_out, int) else 0
        self.network = SmallNetwork(**{name: shape[name] for name in names})
        self.network.load_state_dict(saved["state_dict"])
        if self.accuracy is not None and self.accuracy < TRUSTED:
            task = "the class" if saved["learned"] == FROM_LABELS else "the rotation"
            warnings.warn(
                f"the classifier whose features are compared knows {task} of {self.accuracy:.0%} of {self.held_out} "
                "held-out images only: rely only on large differences between these scores",
                stacklevel=2,
            )
        if saved["learned"] == FROM_ROTATIONS and "logits" in features_list:
            warnings.warn(
                f"the Inception Score of {FROM_ROTATIONS} is about 1 and says nothing: without labels its classes are "
                "quarter turns",
                stacklevel=2,
            )
        self.network.to(memory_format=torch.channels_last)
        self.eval()

    @override
    def forward(self, input: Tensor) -> tuple[Tensor, ...]:
        layers = dict(zip(self.get_provided_features_list(), self.network(input), strict=True))
        return tuple(layers[name] for name in self.features_list)

    @staticmethod
    @override
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features", "logits")

    @staticmethod
    @override
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "features"

    @staticmethod
    @override
    def can_be_compiled() -> bool:
        return False

    @staticmethod
    @override
    def get_dummy_input_for_compile() -> Tensor:
        raise NotImplementedError("this extractor is not compiled")


def _is_size(resolution: object) -> bool:
    try:
        return isinstance(resolution, (int, str)) and Size.of(resolution).plain == resolution
    except BadInput:
        return False


def classifier_in_protocol(extractor: FeatureExtractorBase) -> dict[str, float | str]:
    """Return what tells a classifier from others in a protocol; nothing of an extractor from elsewhere.

    Each machine trains its own, with other weights and often the same accuracy. "extractor_digest" is of the weights.

    >>> from gan_convnorm.fidelity import create_extractor
    >>> images = torch.zeros(20, 1, 4, 4, dtype=torch.uint8)
    >>> labels = torch.zeros(20, dtype=torch.int64)
    >>> list(classifier_in_protocol(create_extractor("classifier", metrics=("fid",), labelled=(images, labels))))
    ['extractor_digest', 'extractor_accuracy', 'extractor_held_out']
    """
    if not isinstance(extractor, ClassifierFeatures):
        return {}
    digest: dict[str, float | str] = {"extractor_digest": weights_digest(extractor)[:8]}
    if extractor.accuracy is None:
        return digest
    return digest | {"extractor_accuracy": extractor.accuracy, "extractor_held_out": extractor.held_out}


register_feature_extractor(NAME, ClassifierFeatures)
