"""Real Fourier transforms by matrix products, one axis after the other, to spectra with channels innermost in memory.

On grids of a few dozen pixels a side, matrix products are faster than the fast Fourier transform. (For 34 = 2 * 17
pixels, the fast transform has a dense product of size 17 itself.) They also read or write only the pixels of the crop.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import lru_cache, reduce

import torch
from torch import Tensor

from gan_convnorm.fourier.grid_filter import Crop
from gan_convnorm.fourier.real_transform import half_grid_weights

__all__ = ["half_grid", "memory", "pixels_to_spectra", "spectra_to_pixels"]

#: bytes of memory under one name that a thread keeps for its next call
LARGEST_KEPT = 2**28
#: how many products in one large piece take as long as one in small pieces
WORTH = 3


class Memory(threading.local):
    """Thread-local scratch buffers by name, reused because allocating one costs as much as a product.

    >>> Memory().take("images", torch.zeros(1), (2, 3)).shape
    torch.Size([2, 3])
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}

    def take(self, name: str, like: Tensor, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
        """Return a tensor of a shape with any values; it overwrites the one that had the name before."""
        dtype = dtype or like.dtype
        count, key = math.prod(shape), (name, dtype, like.device)
        held = self._held.pop(key, None)
        if held is None or held.numel() < count:
            held = None  # given back before there is more
            with torch.inference_mode(False):
                held = torch.empty(count, dtype=dtype, device=like.device)
        if held.numel() * held.element_size() <= LARGEST_KEPT:
            self._held[key] = held
        return held[:count].view(*shape)


memory = Memory()


def pixels_to_spectra(pixels: Tensor, grid: Sequence[int], crop: Crop, name: str) -> Tensor:
    """Return the spectra of images on a circular grid that are zero outside a crop.

    Args:
        pixels: shape (B, C, *counts of the crop), of any strides.
        grid: size of the circular grid.
        crop: where the pixels are on it.
        name: of the result in `memory`.

    Returns:
        Real and imaginary parts, shape (2, frequencies of the half grid, B, C), contiguous, in `memory`.

    >>> pixels_to_spectra(torch.ones(1, 1, 4), [4], ((0, 4, 1),), "example").round().abs().flatten()
    tensor([4., 0., 0., 0., 0., 0.])
    """
    images, channels, *counts = pixels.shape
    first = pixels.permute(*range(2, pixels.dim()), 0, 1)
    found = memory.take("pixels", pixels, first.shape).copy_(first)
    inner = images * channels
    matrices = _to_frequencies(tuple(grid), tuple(crop), pixels.dtype, pixels.device)
    for axis, matrix in reversed(list(enumerate(matrices))):
        each = found.view(math.prod(counts[:axis]), matrix.shape[1], inner)
        found = _multiply(matrix, each, f"axis {axis}" if axis else name)
        inner *= matrix.shape[0] // 2
    return found.view(2, -1, images, channels)


def spectra_to_pixels(spectra: Tensor, grid: Sequence[int], crop: Crop) -> Tensor:
    """Return the pixels of a crop of the real images on a circular grid that have these spectra.

    Args:
        spectra: real and imaginary parts, shape (2, frequencies of the half grid, B, C), contiguous.
        grid: size of the circular grid.
        crop: the pixels that are wanted.

    Returns:
        Shape (B, C, *counts of the crop), a view of `memory` until the next call.

    >>> spectra = torch.tensor([4.0, 0, 0, 0, 0, 0]).view(2, 3, 1, 1)
    >>> spectra_to_pixels(spectra, [4], ((0, 2, 1),))
    tensor([[[1., 1.]]])
    """
    counts, (_, frequencies, images, channels) = [count for _, count, _ in crop], spectra.shape
    found, inner = spectra, frequencies * images * channels
    for axis, matrix in enumerate(_to_pixels(tuple(grid), tuple(crop), spectra.dtype, spectra.device)):
        inner //= matrix.shape[1] // 2
        found = _multiply(matrix, found.view(math.prod(counts[:axis]), matrix.shape[1], inner), f"axis {axis}")
    return found.view(*counts, images, channels).permute(-2, -1, *range(len(counts)))


def _multiply(matrix: Tensor, each: Tensor, name: str) -> Tensor:
    target = memory.take(name, each, (len(each), matrix.shape[0], each.shape[2]))
    return torch.bmm(matrix.expand(len(each), -1, -1), each, out=target)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _to_frequencies(grid: tuple[int, ...], crop: Crop, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Return e^(-i angle), a matrix per axis: (2, frequencies) by (pixels, 2), the last by real (pixels)."""
    *others, last = _waves(grid, crop)
    complete = torch.cat([last.real, last.imag])
    matrices = [_pairs(torch.cat([wave.real, wave.imag]), torch.cat([-wave.imag, wave.real])) for wave in others]
    return _like(dtype, device, [*matrices, complete])


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _to_pixels(grid: tuple[int, ...], crop: Crop, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Return e^(i angle), a matrix per axis: (pixels, 2) by (2, frequencies), the last of real (pixels)."""
    *others, last = (wave.conj().T for wave in _waves(grid, crop))
    weights = half_grid_weights(grid, last.real).repeat(last.shape[1] // (grid[-1] // 2 + 1))
    complete = torch.cat([last.real, -last.imag], 1) * weights.repeat(2)
    matrices = [
        _pairs(torch.cat([wave.real, -wave.imag], 1).T, torch.cat([wave.imag, wave.real], 1).T).T for wave in others
    ]
    return _like(dtype, device, [*matrices, complete])


def _like(dtype: torch.dtype, device: torch.device, matrices: list[Tensor]) -> list[Tensor]:
    return [matrix.to(device, dtype).contiguous() for matrix in matrices]


def _waves(grid: tuple[int, ...], crop: Crop) -> list[Tensor]:
    """Return e^(-2 pi i w m / N), a matrix per axis of its frequencies w by its pixels m.

    On small grids a single matrix replaces those of all axes, of all frequencies by all pixels. It has more products,
    but in larger pieces.

    Returns:
        Matrices in complex128; that of the last axis has half of the frequencies.
    """
    waves = []
    for axis, (n, (first, count, step)) in enumerate(zip(grid, crop, strict=True)):
        frequency = torch.arange(n // 2 + 1 if axis == len(grid) - 1 else n, device="cpu")
        position = torch.arange(count, device="cpu") * step + first
        angle = (-2 * math.pi / n) * (frequency[:, None] * position % n).double()
        waves.append(torch.polar(torch.ones_like(angle), angle))
    products, frequencies = 0, 1
    for axis, wave in reversed(list(enumerate(waves))):
        others = math.prod(count for _, count, _ in crop[:axis]) * frequencies
        products += (2 if axis == len(grid) - 1 else 4) * wave.numel() * others
        frequencies *= wave.shape[0]
    together = 2 * frequencies * math.prod(count for _, count, _ in crop)
    return [reduce(torch.kron, waves)] if together <= WORTH * products else waves


def _pairs(even: Tensor, odd: Tensor) -> Tensor:
    """Return a matrix with the columns of two matrices in alternation."""
    return torch.stack([even, odd], -1).flatten(1)


def half_grid(grid: Sequence[int]) -> tuple[int, ...]:
    """Return the size of the half of a grid's frequencies that `torch.fft.rfftn` computes.

    >>> half_grid((6, 6))
    (6, 4)
    """
    return (*grid[:-1], grid[-1] // 2 + 1)
