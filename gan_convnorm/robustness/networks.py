"""Classifiers by name: the networks of `resnet.py`, and torchvision's with another normalization."""

from __future__ import annotations

import difflib
import math
from typing import Any

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import convert, find_normalization
from gan_convnorm.robustness.resnet import SIZES, ResNet

__all__ = ["Normalized", "build_network"]

TORCHVISION = "torchvision."


class Normalized(nn.Module):
    """A network that takes images in [0, 1]: their normalization is its first layer, so attacks see through it.

    >>> Normalized(nn.Flatten(), channels=1)(torch.tensor([[[[0.0, 0.5, 1.0]]]]))
    tensor([[-1.,  0.,  1.]])

    Args:
        network: takes normalized images.
        channels: channels of the images.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, channels: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.full((channels, 1, 1), 0.5))
        self.register_buffer("deviation", torch.full((channels, 1, 1), 0.5))

    def set_statistics(self, images: Tensor) -> None:
        """Take each channel's mean and deviation from uint8 images (N, C, H, W)."""
        counts = torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in images.unbind(1)])
        levels = torch.arange(256, dtype=torch.float64) / 255
        share = counts.double().cpu() / counts.sum(dim=1, keepdim=True).cpu()
        mean = (share * levels).sum(dim=1)
        variance = (share * (levels - mean[:, None]).square()).sum(dim=1)
        self.mean.copy_(mean.view(-1, 1, 1))
        # A channel of one value stays finite.
        self.deviation.copy_(variance.sqrt().clamp(min=1 / 255).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of images (B, C, H, W) in [0, 1]."""
        logits: Tensor = self.network((images - self.mean) / self.deviation)
        return logits


class _Colour(nn.Module):
    """Grey images for a network that takes colour."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images.expand(-1, 3, -1, -1))
        return logits


def build_network(
    arch: str,
    channels: int,
    num_classes: int,
    norm: str = "batch",
    norm_options: dict[str, Any] | None = None,
    width: float = 1.0,
) -> Normalized:
    """Return an untrained classifier of images in [0, 1].

    >>> build_network("resnet8", channels=1, num_classes=10)(torch.zeros(2, 1, 16, 16)).shape
    torch.Size([2, 10])

    Args:
        arch: a key of `gan_convnorm.robustness.resnet.SIZES`, or "torchvision.NAME" for any classifier of torchvision.
        channels: channels of the images.
        num_classes: number of classes.
        norm: as in `gan_convnorm.layers.find_normalization`; a torchvision network is converted (`layers.convert`);
            with "+batch" its BatchNorms stay.
        norm_options: options of the normalization.
        width: factor on the channels of a network of `SIZES`.

    Returns:
        The network, in training mode.

    Raises:
        BadInput: an unknown arch, norm or option, or a width that such a network does not have.
    """
    if not 0 < width < math.inf:
        raise BadInput(f"width is {width}, and must be above zero")
    row = find_normalization(norm, norm_options)
    if arch in SIZES:
        return Normalized(ResNet(SIZES[arch], channels, num_classes, row, width), channels)
    name = arch.removeprefix(TORCHVISION)
    if name == arch:
        raise BadInput(f"arch {arch!r} is not known; choose one of: {', '.join(SIZES)}, or torchvision.NAME")
    import torchvision  # slow, and most runs do not need it

    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        near = difflib.get_close_matches(name, known, 3) or known[:3]
        raise BadInput(
            f"torchvision has no classifier {name!r}; choose one of its {len(known)}, such as {', '.join(near)}"
        )
    if width != 1:
        raise BadInput(f"width is {width}, and torchvision's networks have none; leave it at 1")
    if channels not in (1, 3):
        raise BadInput(f"the images have {channels} channels, and torchvision's networks take 1 or 3; choose 3")
    extra = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    network = torchvision.models.get_model(name, weights=None, num_classes=num_classes, **extra)
    convolutions, plus, activations = norm.partition("+")
    if plus and activations != "batch":
        raise BadInput(f"norm {norm!r}: a torchvision network can keep its batch normalization alone; use +batch")
    if convolutions != "batch" or norm_options:
        network, _ = convert(network, convolutions, options=norm_options, batch_norm="keep" if plus else "replace")
    return Normalized(_Colour(network) if channels == 1 else network, channels)
