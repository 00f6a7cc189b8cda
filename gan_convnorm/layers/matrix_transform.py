"""Real Fourier transforms by matrix products, an axis at a time, of images whose channels are innermost in memory.

On grids of a few dozen pixels a side a product of matrices is faster than the fast transform (whose factor of 17 on 34
pixels is one too), it takes images as they lie in memory, and it reads or writes the wanted pixels alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gan_convnorm.layers.circular_grid import Crop, half_grid_weights

__all__ = ["pixels_to_spectra", "spectra_to_pixels"]


def pixels_to_spectra(pixels: Tensor, grid: Sequence[int], crop: Crop, *, conjugate: bool = False) -> Tensor:
    """Spectra of images that are zero on a circular grid but for the pixels of a crop.

    Args:
        pixels: shape (B, C, *counts of the crop).
        grid: size of the circular grid.
        crop: where the pixels are on it.
        conjugate: the spectra's conjugates instead.

    Returns:
        Shape (B, 2, *half grid, C): real and imaginary parts.
    """
    images, channels = pixels.shape[:2]
    counts = pixels.shape[2:]
    found, inner = pixels.movedim(1, -1), channels
    for axis in reversed(range(len(grid))):
        last = axis == len(grid) - 1
        # e^(-i angle), as a matrix of (2, frequencies) by (pixels), or by (pixels, 2) where they are complex already.
        cosine, sine = _waves(grid[axis], crop[axis], last, pixels)
        sine = -sine if conjugate else sine
        matrix = torch.cat([cosine, -sine] if last else [_pairs(cosine, sine), _pairs(-sine, cosine)])
        found = found.reshape(images * math.prod(counts[:axis]), matrix.shape[1], inner)
        found = torch.bmm(matrix.expand(len(found), -1, -1), found)
        inner *= matrix.shape[0] // 2
    return found.view(images, 2, *_half(grid), channels)


def spectra_to_pixels(spectra: Tensor, grid: Sequence[int], crop: Crop) -> Tensor:
    """The pixels of a crop of the real images on a circular grid that have these spectra.

    Args:
        spectra: shape (B, 2, *half grid, C), contiguous, real and imaginary parts.
        grid: size of the circular grid.
        crop: the pixels that are wanted.

    Returns:
        Shape (B, C, *counts of the crop), channels innermost in memory.
    """
    images, channels = spectra.shape[0], spectra.shape[-1]
    counts = [count for _, count, _ in crop]
    found, inner = spectra, channels * math.prod(_half(grid))
    for axis in range(len(grid)):
        last = axis == len(grid) - 1
        # e^(i angle), as a matrix of (pixels, 2) by (2, frequencies), and at last of (pixels).
        cosine, sine = (wave.T for wave in _waves(grid[axis], crop[axis], last, spectra))
        if last:
            matrix = torch.cat([cosine, -sine], 1) * half_grid_weights(grid, spectra).repeat(2)
        else:
            matrix = _pairs(torch.cat([cosine, -sine], 1).T, torch.cat([sine, cosine], 1).T).T
        inner //= cosine.shape[1]
        found = found.reshape(images * math.prod(counts[:axis]), matrix.shape[1], inner)
        found = torch.bmm(matrix.expand(len(found), -1, -1), found)
    return found.view(images, *counts, channels).movedim(-1, 1)


def _waves(n: int, pixels: tuple[int, int, int], half: bool, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of 2 pi w m / N, for the frequencies w of an axis by its pixels m."""
    first, count, step = pixels
    frequency = torch.arange(n // 2 + 1 if half else n, device=like.device)
    position = torch.arange(count, device=like.device) * step + first
    angle = (2 * math.pi / n) * (frequency[:, None] * position % n).double()
    return angle.cos().to(like.dtype), angle.sin().to(like.dtype)


def _pairs(even: Tensor, odd: Tensor) -> Tensor:
    """Columns in turns."""
    return torch.stack([even, odd], -1).flatten(1)


def _half(grid: Sequence[int]) -> tuple[int, ...]:
    return (*grid[:-1], grid[-1] // 2 + 1)
