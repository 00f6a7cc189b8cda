"""Fourier transforms of real images: half of the frequencies, since the other half is conjugate to them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gan_convnorm.fourier.execution import traced

__all__ = ["half_grid_weights", "to_pixels", "to_spectrum"]


def half_grid_weights(grid: Sequence[int], like: Tensor) -> Tensor:
    """Return how often each column of the half grid counts in a sum over the grid, divided by the number of pixels.

    Args:
        grid: size of the grid.
        like: a tensor with the dtype and the device of the weights.

    Returns:
        Shape (half of the last size,).

    >>> half_grid_weights((4,), torch.zeros(()))
    tensor([0.2500, 0.5000, 0.2500])
    """
    weights = like.new_full((grid[-1] // 2 + 1,), 2.0)
    weights[0] = 1
    if grid[-1] % 2 == 0:
        weights[-1] = 1
    return weights / math.prod(grid)


def to_spectrum(pixels: Tensor, axes: Sequence[int]) -> Tensor:
    """Return `torch.fft.rfftn`, of an empty batch too, for which MKL has no transform.

    >>> to_spectrum(torch.ones(0, 1, 4), [-1]).shape
    torch.Size([0, 1, 3])
    """
    if not traced() and pixels.numel() == 0:
        return torch.complex(pixels, pixels).narrow(axes[-1], 0, pixels.shape[axes[-1]] // 2 + 1)
    return torch.fft.rfftn(pixels, dim=axes)


def to_pixels(spectrum: Tensor, grid: Sequence[int], axes: Sequence[int]) -> Tensor:
    """Return `torch.fft.irfftn`, of an empty batch too.

    >>> to_pixels(torch.ones(0, 1, 3, dtype=torch.complex64), [4], [-1]).shape
    torch.Size([0, 1, 4])
    """
    if not traced() and spectrum.numel() == 0:
        return spectrum.real.narrow(axes[-1], 0, 1).expand(*spectrum.shape[: -len(grid)], *grid)
    return torch.fft.irfftn(spectrum, s=tuple(grid), dim=axes)
