"""The kernel of a layer, with its stride, dilation and groups and, for ConvNorm, its filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from gan_convnorm.errors import BadInput
from gan_convnorm.evaluation_mode import evaluating
from gan_convnorm.fourier.execution import exact_dtype
from gan_convnorm.operators.matrix_norm import matrix_norm

__all__ = ["Kernel", "check_size", "check_tolerance", "effective_weight", "flattened_norm", "is_plain", "kernel_of"]

#: torch's hooks that compute a weight in every forward
MAKERS = (BasePruningMethod, SpectralNorm, WeightNorm)
CONVOLUTIONS = tuple(kind._conv_forward for kind in (_ConvNd, nn.Conv1d, nn.Conv2d, nn.Conv3d))
PLAIN = tuple(getattr(nn, f"Conv{kind}{n}d").forward for kind in ("", "Transpose") for n in (1, 2, 3))


@dataclass(frozen=True)
class Kernel:
    """A convolution A before its grid is known: the layer is A, or A's adjoint if it is transposed.

    >>> Kernel(torch.ones(1, 8, 3, 5, 3), stride=(1, 1), dilation=(1, 2), transposed=False).span
    [4, 4]

    Attributes:
        weight: of A, shape (groups, rows, columns, *kernel_size): rows are channels of y, columns of x, in a group;
            at least float32, detached.
        stride: of A.
        dilation: of A.
        transposed: the layer is A^T, whose outputs are A's columns.
        transfer: for a layer that filters its output channels on a circular grid: maps a grid to the transfer
            functions, shape (C_out, *half grid). None for a plain layer.
        coarse_filter: True if the filter's grid is that of the strided pixels, not of every pixel.
    """

    weight: Tensor
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    transfer: Callable[[tuple[int, ...]], Tensor] | None = None
    coarse_filter: bool = False

    @property
    def span(self) -> list[int]:
        """Return the pixels from the first tap to the last, per dimension."""
        return [d * (k - 1) for d, k in zip(self.dilation, self.weight.shape[3:], strict=True)]


def is_plain(layer: nn.Module) -> bool:
    """Return True if the layer runs torch's own convolution with its `weight`, which may be parametrized.

    A subclass with a forward or a `_conv_forward` of its own is not plain, nor is a layer whose weight an unknown hook
    makes.

    >>> is_plain(nn.Conv2d(3, 8, 3)), is_plain(nn.Linear(3, 8))
    (True, False)
    """
    if not isinstance(layer, _ConvNd) or "forward" in vars(layer) or (_is_made(layer) and not _makers(layer)):
        return False
    kind = type(layer)
    return kind.forward in PLAIN and kind._conv_forward in CONVOLUTIONS


def kernel_of(layer: nn.Module) -> Kernel | None:
    """Return the kernel of a plain convolution or of a ConvNorm layer.

    A parametrized layer has its effective weight. A layer that filters its convolution's output is known by its method
    `transfer_function(grid)`.

    >>> kernel_of(nn.Conv2d(4, 6, 3, groups=2, dilation=2)).weight.shape
    torch.Size([2, 3, 2, 3, 3])

    Returns:
        None for every other layer.
    """
    transfer: Any = getattr(layer, "transfer_function", None)
    if not isinstance(layer, _ConvNd):
        return None
    # A layer of this package with its own filter; a subclass of it may do more.
    own = type(layer).forward.__module__.startswith("gan_convnorm.") and "forward" not in vars(layer)
    filters = transfer is not None and own and not _is_made(layer)
    if not filters and (transfer is not None or not is_plain(layer)):
        return None
    weight = effective_weight(layer)
    weight = weight.reshape(layer.groups, -1, *weight.shape[1:])
    coarse = getattr(getattr(layer, "options", None), "strided", None) == "fold"
    return Kernel(weight, layer.stride, layer.dilation, isinstance(layer, _ConvTransposeNd), transfer, coarse)


@torch.no_grad()
def effective_weight(layer: nn.Module) -> Tensor:
    """Return the weight that the forward uses in evaluation mode, parametrized or not: detached, at least float32.

    >>> effective_weight(nn.Linear(3, 8, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    with evaluating(layer):
        for make in _makers(layer):  # what the last forward left may be of older numbers
            make(layer, ())
        weight: Tensor = layer.weight  # type: ignore[assignment]
    return exact_dtype(weight.detach())


def _is_made(layer: nn.Module) -> bool:
    """Return True if a hook makes the weight in every forward, as torch's pruning and old normalizations do."""
    return "weight" in vars(layer)


def _makers(layer: nn.Module) -> list[Any]:
    """Return torch's own hooks that make the weight, of a layer whose weight is made so."""
    return [hook for hook in layer._forward_pre_hooks.values() if isinstance(hook, MAKERS)] if _is_made(layer) else []


def flattened_norm(layer: nn.Module) -> float:
    """Return ||W||_2 of the effective weight as a matrix (C_out, C_in / groups * k_h * k_w).

    It is the norm of the flattened kernel, which torch's spectral normalization sets to 1. With one group, zero padding
    and an image that holds a whole window of the kernel, ||W||_2 <= operator norm <= sqrt(k_h k_w) ||W||_2.

    >>> layer = nn.Conv2d(1, 1, 2)
    >>> layer.weight.data.fill_(1.0)
    tensor([[[[1., 1.],
              [1., 1.]]]])
    >>> round(flattened_norm(layer), 4)  # sqrt(4); on a large image the operator norm is near 4
    2.0

    Args:
        layer: a convolution, transposed or not, parametrized or not.

    Returns:
        Zero or above; NaN where a weight is NaN or infinite.
    """
    weight = effective_weight(layer)
    if isinstance(layer, _ConvTransposeNd):
        weight = weight.transpose(0, 1)
    return matrix_norm(weight.flatten(1))


def check_size(layer: nn.Module, input_size: Sequence[int]) -> tuple[int, ...]:
    """Return the image size as a tuple after checking it.

    Raises:
        BadInput: a size that is not one whole number of pixels above 0 for each dimension of the layer.

    >>> check_size(nn.Conv2d(3, 8, 3), [32, 32])
    (32, 32)
    """
    dims = len(layer.kernel_size) if isinstance(layer, _ConvNd) else len(input_size)
    if len(input_size) != dims or not all(isinstance(n, Integral) and n >= 1 for n in input_size):
        raise BadInput(
            f"{type(layer).__name__}: input_size is {tuple(input_size)}; expected {dims} numbers of pixels, as in "
            f"{(32,) * dims}, without batch and channels"
        )
    return tuple(input_size)


def check_tolerance(tolerance: float) -> None:
    """Refuse a tolerance that no iteration can reach.

    Raises:
        BadInput: a tolerance that is not above 0 and below 1.

    >>> check_tolerance(2.0)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: tolerance is 2.0, and must be a number above 0 and below 1
    """
    if not isinstance(tolerance, Real) or not 0 < tolerance < 1:
        raise BadInput(f"tolerance is {tolerance!r}, and must be a number above 0 and below 1")
