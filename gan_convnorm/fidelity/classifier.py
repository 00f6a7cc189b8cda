"""A small classifier, trained on a data set's own labels, as a torch-fidelity feature extractor."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_fidelity import register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.cache import cache_path, read_cached, write_cached
from gan_convnorm.files.cache_folder import temporary_folder
from gan_convnorm.files.tensors import load_tensors

__all__ = ["NAME", "ClassifierFeatures", "SmallClassifier", "train_classifier", "trained_weights"]

NAME = "labelled-classifier"
VERSION = 1  # of the network and its training; a change makes new features, and so new scores
EPOCHS = 12
BATCH_SIZE = 64
SEED = 0
#: pixels a side, channels and classes that a weights file may ask for
MOST = 65536


class SmallClassifier(nn.Module):
    """Convolutions and poolings down to 4x4, 64 averaged features, logits.

    Args:
        resolution: side of the images in pixels.
        channels: channels of the images.
        num_classes: number of classes.
    """

    def __init__(self, resolution: int, channels: int, num_classes: int) -> None:
        super().__init__()
        self.shape = {"resolution": resolution, "channels": channels, "num_classes": num_classes}
        self.layers = nn.Sequential()
        incoming, side = channels, resolution
        while True:
            self.layers.append(nn.Conv2d(incoming, 64, 3, padding=1, bias=False))
            self.layers.append(nn.BatchNorm2d(64))
            self.layers.append(nn.ReLU())
            if side <= 4:
                break
            self.layers.append(nn.MaxPool2d(2))
            incoming, side = 64, side // 2
        self.linear = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, 64) and logits (B, num_classes) of uint8 images (B, C, H, W)."""
        features = self.layers(images.float() / 127.5 - 1).mean(dim=(2, 3))
        return features, self.linear(features)


def train_classifier(images: Tensor, labels: Tensor) -> SmallClassifier:
    """Train a classifier; the same images give the same network, and the global random state stays.

    Args:
        images: uint8, shape (N, C, H, W), square.
        labels: int64, shape (N,), classes from 0.

    Returns:
        The network, in evaluation mode.
    """
    # Lightning validates in inference mode, which has no gradients.
    with torch.random.fork_rng(), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(SEED)
        network = SmallClassifier(images.shape[-1], images.shape[1], int(labels.max()) + 1)
        steps = EPOCHS * -(-len(images) // BATCH_SIZE)
        optimizer = torch.optim.AdamW(network.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
        for _ in range(EPOCHS):
            for rows in torch.split(torch.randperm(len(images)), BATCH_SIZE):
                loss = F.cross_entropy(network(images[rows])[1], labels[rows])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
    return network.eval()


def trained_weights(images: Tensor, labels: Tensor) -> Path:
    """Return the file with the classifier of these images, trained on the first call and cached by content.

    Args:
        images: uint8, shape (N, C, H, W), square.
        labels: int64, shape (N,), classes from 0.

    Returns:
        A file for torch-fidelity's `feature_extractor_weights_path`, in the cache folder, or with a warning in a
        temporary one if that cannot be written.
    """
    digest = hashlib.sha256(images.contiguous().numpy().data)
    digest.update(labels.contiguous().numpy().data)
    path = cache_path("classifier", VERSION, tuple(images.shape), EPOCHS, BATCH_SIZE, SEED, digest.hexdigest())
    found = read_cached(path)
    if found is None or not {"shape", "state_dict"} <= set(found):
        network = train_classifier(images, labels)
        content = {"shape": network.shape, "state_dict": network.state_dict()}
        if not write_cached(path, content):
            path = temporary_folder() / path.name
            torch.save(content, path)
    return path


class ClassifierFeatures(FeatureExtractorBase):  # type: ignore[misc,unused-ignore]
    """`SmallClassifier` in torch-fidelity's interface, with the layers "features" (64) and "logits".

    Args:
        name: the registered name.
        features_list: the layers to return.
        feature_extractor_weights_path: a file of `trained_weights`.
    """

    def __init__(
        self, name: str, features_list: list[str], feature_extractor_weights_path: str | None = None, **kwargs: object
    ) -> None:
        super().__init__(name, features_list)
        if feature_extractor_weights_path is None:
            raise ValueError(f"feature extractor {name!r} needs feature_extractor_weights_path")
        saved = load_tensors(Path(feature_extractor_weights_path))
        names = ("resolution", "channels", "num_classes")
        shape = saved.get("shape") if isinstance(saved, dict) else None
        if not isinstance(shape, dict) or not all(
            type(shape.get(name)) is int and 0 < shape[name] <= MOST for name in names
        ):
            raise BadInput(f"{feature_extractor_weights_path} does not hold a trained classifier: it has no shape")
        self.network = SmallClassifier(**{name: shape[name] for name in names})
        self.network.load_state_dict(saved["state_dict"])
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


register_feature_extractor(NAME, ClassifierFeatures)
