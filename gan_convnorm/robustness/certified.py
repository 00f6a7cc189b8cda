"""Certified accuracy: images whose class no perturbation of a given Euclidean length can change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_convnorm.errors import BadInput
from gan_convnorm.evaluation_mode import evaluating
from gan_convnorm.operators import Layer, certified_bound, recording
from gan_convnorm.operators.convnorm_parts import batch_norm_scale
from gan_convnorm.robustness.networks import Normalized
from gan_convnorm.robustness.resnet import ResNet

__all__ = ["LipschitzBound", "certified_network", "certified_radii", "lipschitz_bound"]


@dataclass(frozen=True)
class LipschitzBound:
    """An upper bound on a classifier's Lipschitz constants, Euclidean to Euclidean, in evaluation mode.

    >>> LipschitzBound(2.0, torch.tensor([[1.0], [-1.0]])).margins()
    tensor([[0., 4.],
            [4., 0.]], dtype=torch.float64)

    Attributes:
        features: from images in [0, 1] to what the last linear layer reads; infinite where a part has no bound.
        head: weight of the last linear layer, (K, D).
    """

    features: float
    head: Tensor

    def margins(self) -> Tensor:
        """Return bounds on the Lipschitz constants of differences of logits, z_i - z_j, shape (K, K)."""
        return self.features * torch.cdist(self.head.double(), self.head.double())


def certified_network(network: nn.Module) -> ResNet:
    """Return the residual or plain network inside a classifier of `build_network`.

    Raises:
        BadInput: another network, such as torchvision's, of which no certificate is known.

    >>> from gan_convnorm.robustness.networks import build_network
    >>> type(certified_network(build_network("resnet8", channels=1, num_classes=10))).__name__
    'ResNet'
    """
    inner = network.network if isinstance(network, Normalized) else network
    if not isinstance(inner, ResNet) or inner is network:
        kind = type(getattr(inner, "network", inner)).__name__  # grey images have a wrapper of their own
        raise BadInput(f"a certificate is known for resnet8 and the other networks of this package, not for {kind}")
    return inner


@torch.no_grad()
def lipschitz_bound(network: nn.Module, image_size: Sequence[int]) -> LipschitzBound:
    """Return a bound for a classifier of `build_network`'s own residual and plain networks.

    Certified bounds of the layers are multiplied along a chain, and added where a block adds its shortcut. ReLU has
    constant 1. The mean over H x W pixels has 1 / sqrt(H W). BatchNorm multiplies each channel by a constant.

    >>> from gan_convnorm.robustness.networks import build_network
    >>> bound = lipschitz_bound(build_network("resnet8", channels=1, num_classes=10, width=0.25), (1, 8, 8))
    >>> bound.head.shape, 0 < bound.features < math.inf
    (torch.Size([10, 8]), True)

    Args:
        network: the classifier.
        image_size: channels, height and width.

    Raises:
        BadInput: another network, such as torchvision's.
    """
    inner, whole = certified_network(network), cast("Normalized", network)
    with evaluating(network), recording(network) as layers:
        network(torch.zeros(1, *image_size, device=whole.mean.device))
    sizes = {layer.module: layer for layer in layers}
    constant = float((1 / whole.deviation).max()) * _unit(inner.stem, sizes)
    block: Any
    for block in inner.blocks:
        units = math.prod(_unit(unit, sizes) for unit in block.units)
        if block.shortcut is not None:
            units += 1 if isinstance(block.shortcut, nn.Identity) else _unit(block.shortcut, sizes)
        constant *= units
    head = inner.head.weight.detach().cpu()
    if math.isinf(constant):
        return LipschitzBound(constant, head)
    # The mean over the pixels of the last feature map.
    block = inner.blocks[-1]
    height, width = _output_size(sizes[block.units[-1][0]])
    return LipschitzBound(constant / math.sqrt(height * width), head)


def certified_radii(logits: Tensor, labels: Tensor, bound: LipschitzBound) -> Tensor:
    """Return for each image the length of the perturbations that cannot change its class.

    It is the smallest (z_y - z_j) / L_yj over the other classes j, with L_yj of z_y - z_j: Tsuzuku et al., NeurIPS 2018
    (arXiv:1802.04034), proposition 1, with the last layer's rows in place of sqrt(2) times its norm.

    >>> bound = LipschitzBound(2.0, torch.tensor([[1.0], [-1.0]]))
    >>> certified_radii(torch.tensor([[3.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 0]), bound)
    tensor([0.5000, 0.0000], dtype=torch.float64)

    Args:
        logits: of the images as they are, (N, K).
        labels: their classes, (N,).
        bound: of the classifier.

    Returns:
        Euclidean lengths in units of [0, 1] pixels, float64 (N,); 0 for an image that is classified wrong.
    """
    margins = logits.double().gather(1, labels[:, None]) - logits.double()
    constants = bound.margins().to(logits.device)[labels]
    radii = margins / constants
    radii.scatter_(1, labels[:, None], torch.inf)  # of the class itself
    return radii.nan_to_num(0.0, posinf=torch.inf).amin(1).clamp(min=0)


def _unit(unit: nn.Module, sizes: dict[nn.Module, Layer]) -> float:
    """Return the bound of a convolution and its normalization of activations; infinite where one is not known."""
    conv, activation = unit.children()
    # A normalization of the user's own may hold the convolution inside another module.
    bound = certified_bound(conv, sizes[conv].input_size) if conv in sizes else None
    if bound is None:
        return math.inf
    if isinstance(activation, nn.Identity):
        return bound
    scale = batch_norm_scale(activation) if isinstance(activation, _BatchNorm) else None
    return math.inf if scale is None else bound * float(scale.abs().max())


def _output_size(layer: Layer) -> tuple[int, int]:
    conv: Any = layer.module
    height, width = (-(-size // stride) for size, stride in zip(layer.input_size, conv.stride, strict=True))
    return height, width
