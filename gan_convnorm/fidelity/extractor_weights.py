"""The weights of feature extractors: their files, checked before they are loaded, and their hash."""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path

import torch
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import classifier_features
from gan_convnorm.files.tensors import load_tensors

__all__ = ["check_weights_file", "weights_digest", "weights_origin"]


def weights_digest(extractor: FeatureExtractorBase) -> str:
    """Return a hash of all parameters and buffers, which cached features depend on.

    >>> network = torch.nn.Linear(2, 2)
    >>> before = weights_digest(network)
    >>> network.bias.data += 1
    >>> before == weights_digest(network)
    False
    """
    content = hashlib.sha256()
    for name, value in sorted(extractor.state_dict().items()):
        content.update(name.encode())
        content.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return content.hexdigest()


def check_weights_file(registered: str, path: Path) -> None:
    """Raise when a file cannot hold the weights of an extractor.

    >>> check_weights_file("vgg16", Path("no file"))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: there is no weights file no file; expected the file that torchvision fetches from ...

    Args:
        registered: the extractor's name in torch-fidelity's registry.
        path: the file.

    Raises:
        BadInput: there is none, or it holds other things than tensors.
    """
    if not path.is_file():
        raise BadInput(f"there is no weights file {path}; expected the file that {weights_origin(registered)}")
    if registered.startswith("clip"):
        if not zipfile.is_zipfile(path):
            raise BadInput(f"{path} is no TorchScript archive; expected the file that {weights_origin(registered)}")
    else:
        # torch-fidelity would run code from a pickle; CLIP's files are TorchScript archives.
        try:
            load_tensors(path)
        except BadInput as error:
            raise BadInput(f"{error}; expected the file that {weights_origin(registered)}") from error


def weights_origin(registered: str) -> str:
    """Return the origin of an extractor's weights, as the end of the sentence "the file that ...".

    >>> weights_origin("dinov2-vit-b-14")
    'torch-fidelity fetches'
    """
    from torch_fidelity import feature_extractor_clip, feature_extractor_inceptionv3
    from torchvision.models import VGG16_Weights

    if registered == classifier_features.NAME:
        return f"an earlier run has trained (in the cache folder, {classifier_features.NAME}-*.pt)"
    if registered == "inception-v3-compat":
        return f"torch-fidelity fetches from {feature_extractor_inceptionv3.URL_INCEPTION_V3}"
    if registered == "vgg16":
        return f"torchvision fetches from {VGG16_Weights.IMAGENET1K_V1.url}"
    if re.match("clip-", registered):
        return f"torch-fidelity fetches from {feature_extractor_clip.MODEL_URLS.get(registered)}"
    return "torch-fidelity fetches"
