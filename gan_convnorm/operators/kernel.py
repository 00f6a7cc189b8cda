"""What is known of an operator without running it: kernel, stride, dilation, groups and, for ConvNorm, the filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from gan_convnorm.errors import BadInput
from gan_convnorm.operators.evaluation_mode import evaluating
from gan_convnorm.operators.matrix_norm import matrix_norm

__all__ = ["Kernel", "check_size", "check_tolerance", "effective_weight", "flattened_norm", "is_plain", "kernel_of"]

PLAIN = tuple(getattr(nn, f"Conv{kind}{n}d").forward for kind in ("", "Transpose") for n in (1, 2, 3))


@dataclass(frozen=True)
class Kernel:
    """A convolution y = A x that a layer is, or that it is the adjoint of.

    Attributes:
        weight: of A, shape (groups, rows, columns, *kernel_size): rows are channels of y, columns of x, in a group;
            at least float32, detached.
        stride: of A.
        dilation: of A.
        transposed: the layer is A^T, whose outputs are A's columns.
        transfer: of a layer that filters its output channels on a circular grid, the transfer functions on a grid,
            shape (C_out, *half grid); None for a plain layer.
        coarse_filter: the filter is on the grid of the strided pixels, not of every pixel.
    """

    weight: Tensor
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    transfer: Callable[[tuple[int, ...]], Tensor] | None = None
    coarse_filter: bool = False

    @property
    def span(self) -> list[int]:
        """Pixels from the first tap to the last."""
        return [d * (k - 1) for d, k in zip(self.dilation, self.weight.shape[3:], strict=True)]


def is_plain(layer: nn.Module) -> bool:
    """Whether the layer is torch's own convolution with its `weight`, which may be parametrized."""
    return isinstance(layer, _ConvNd) and type(layer).forward in PLAIN


def kernel_of(layer: nn.Module) -> Kernel | None:
    """The kernel of a plain convolution, the effective one where it is parametrized, or of a ConvNorm layer; else None.

    A layer that filters its convolution's output is known by its method `transfer_function(grid)`.
    """
    transfer: Any = getattr(layer, "transfer_function", None)
    if not isinstance(layer, _ConvNd) or (transfer is None and not is_plain(layer)):
        return None
    weight = effective_weight(layer).unflatten(0, (layer.groups, -1))
    coarse = getattr(layer, "strided", None) == "fold"
    return Kernel(weight, layer.stride, layer.dilation, isinstance(layer, _ConvTransposeNd), transfer, coarse)


@torch.no_grad()
def effective_weight(layer: nn.Module) -> Tensor:
    """The weight that the forward uses, after parametrizations in evaluation mode; at least float32, detached."""
    with evaluating(layer):
        weight: Any = layer.weight
    return weight.detach().to(torch.promote_types(weight.dtype, torch.float32))


def flattened_norm(layer: nn.Module) -> float:
    """||W||_2 of the effective weight as a matrix (C_out, C_in / groups * k_h * k_w): what spectral normalization sets.

    The matrix of torch.nn.utils.parametrizations.spectral_norm. With one group, on an image no smaller than the kernel
    and zero padding, ||W||_2 <= operator norm <= sqrt(k_h k_w) ||W||_2.
    """
    weight = effective_weight(layer)
    if isinstance(layer, _ConvTransposeNd):
        weight = weight.transpose(0, 1)
    return matrix_norm(weight.flatten(1))


def check_size(layer: nn.Module, input_size: Sequence[int]) -> tuple[int, ...]:
    """Return the size of the image.

    Raises:
        BadInput: a size that no image of the layer has.
    """
    dims = len(layer.kernel_size) if isinstance(layer, _ConvNd) else len(input_size)
    if len(input_size) != dims or not all(isinstance(n, Integral) and n >= 1 for n in input_size):
        raise BadInput(
            f"{type(layer).__name__}: input_size is {tuple(input_size)}; expected {dims} numbers of pixels, as in "
            f"{(32,) * dims}, without batch and channels"
        )
    return tuple(input_size)


def check_tolerance(tolerance: float) -> None:
    """Refuse a tolerance that no iteration reaches, or that means nothing.

    Raises:
        BadInput: a tolerance that is not above 0 and below 1.
    """
    if not isinstance(tolerance, Real) or not 0 < tolerance < 1:
        raise BadInput(f"tolerance is {tolerance!r}, and must be a number above 0 and below 1")
