"""Real Fourier transforms by matrix products, one axis after the other, to spectra with channels innermost in memory.

On grids of a few dozen pixels a side, matrix products are faster than the fast Fourier transform. (For 34 = 2 * 17
pixels, the fast transform has a dense product of size 17 itself.) They also read or write only the pixels of the crop.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from gan_convnorm.fourier.execution import cached, holds_real_tensors, parts
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

    def take(self, name: str, like: Tensor, shape: Sequence[int]) -> Tensor:
        """Return a tensor of a shape with any values; it overwrites the one that had the name before."""
        if not holds_real_tensors():
            return like.new_empty(shape)
        count, key = math.prod(shape), (name, like.dtype, like.device)
        held = self._held.pop(key, None)
        if held is None or held.numel() < count:
            held = None  # given back before there is more
            with torch.inference_mode(False):
                held = torch.empty(count, dtype=like.dtype, device=like.device)
        if held.numel() * held.element_size() <= LARGEST_KEPT:
            self._held[key] = held
        return held[:count].view(*shape)


memory = Memory()


def pixels_to_spectra(pixels: Tensor, grid: Sequence[int], crop: Crop, out: Tensor) -> Tensor:
    """Return in `out` the spectra of images on a circular grid that are zero outside a crop.

    Args:
        pixels: shape (B, C, *counts of the crop), of any strides.
        grid: size of the circular grid.
        crop: where the pixels are on it.
        out: memory for real and imaginary parts, shape (2, frequencies of the half grid, B, C), contiguous.

    >>> pixels_to_spectra(torch.ones(1, 1, 4), [4], ((0, 4, 1),), torch.empty(2, 3, 1, 1)).round().abs().flatten()
    tensor([4., 0., 0., 0., 0., 0.])
    """
    counts = pixels.shape[2:]
    first, *others = _to_frequencies(tuple(grid), tuple(crop), pixels.dtype, pixels.device)
    for rows in parts(pixels):
        own = pixels[rows]
        found = _columns(own)
        if not own.is_contiguous():
            _innermost(found, own).copy_(own)
        inner = width = found.shape[1]
        for axis, matrix in reversed(list(enumerate(others, start=1))):
            target = memory.take(f"axis {axis}", out, (math.prod(counts[:axis]), len(matrix), inner))
            found = _multiply(matrix, found.view(-1, matrix.shape[1], inner), target)
            inner *= len(matrix) // 2
        _multiply_first(first, found.view(first.shape[1], -1, width), _part(out, first, rows))
    return out


def spectra_to_pixels(spectra: Tensor, grid: Sequence[int], crop: Crop, out: Tensor) -> Tensor:
    """Return in `out` the pixels of a crop of the real images on a circular grid that have these spectra.

    Args:
        spectra: real and imaginary parts, shape (2, frequencies of the half grid, B, C), contiguous.
        grid: size of the circular grid.
        crop: the pixels that are wanted.
        out: memory for the pixels, shape (B, C, *counts of the crop), of any strides.

    >>> spectra = torch.tensor([4.0, 0, 0, 0, 0, 0]).view(2, 3, 1, 1)
    >>> spectra_to_pixels(spectra, [4], ((0, 2, 1),), torch.empty(1, 1, 2))
    tensor([[[1., 1.]]])
    """
    counts = out.shape[2:]
    first, *others = _to_pixels(tuple(grid), tuple(crop), spectra.dtype, spectra.device)
    for rows in parts(out):
        own, pixels = _part(spectra, first.T, rows), out[rows]
        columns = _columns(pixels)
        found = memory.take("axis 0", own, (len(first), *own.shape[1:])) if others else columns.unsqueeze(1)
        _multiply_first(first, own, found)
        inner = own.shape[1] * own.shape[2]
        for axis, matrix in enumerate(others, start=1):
            inner //= matrix.shape[1] // 2
            shape = (math.prod(counts[:axis]), len(matrix), inner)
            target = columns.view(shape) if axis == len(others) else memory.take(f"axis {axis}", own, shape)
            found = _multiply(matrix, found.view(-1, matrix.shape[1], inner), target)
        if not pixels.is_contiguous():
            pixels.copy_(_innermost(columns, pixels))
    return out


def _columns(pixels: Tensor) -> Tensor:
    """Return memory for (B, C, *size) as a matrix of pixels by images * C: contiguous pixels themselves, or scratch.

    A matrix product reads and writes a transposed matrix as fast as another, so contiguous pixels are not copied.
    """
    if pixels.is_contiguous():
        return pixels.flatten(0, 1).flatten(1).T
    images, channels, *counts = pixels.shape
    return memory.take("pixels", pixels, (math.prod(counts), images * channels))


def _innermost(columns: Tensor, pixels: Tensor) -> Tensor:
    """Return scratch of `_columns` in the shape of the pixels, (B, C, *size)."""
    images, channels, *counts = pixels.shape
    return columns.view(*counts, images, channels).permute(-2, -1, *range(len(counts)))


def _part(spectra: Tensor, matrix: Tensor, rows: slice) -> Tensor:
    """Return a view of the spectra of some images, (frequencies of the first axis, of the others, images * C)."""
    channels = spectra.shape[-1]
    columns = slice(rows.start * channels, rows.stop * channels)
    return spectra.view(len(matrix), -1, spectra.shape[2] * channels)[:, :, columns]


def _multiply_first(matrix: Tensor, tensor: Tensor, out: Tensor) -> None:
    """Multiply the first of three axes. A tensor that is a part of a larger one takes a product for each column."""
    if tensor.is_contiguous() and out.is_contiguous():
        torch.mm(matrix, tensor.flatten(1), out=out.flatten(1))
    else:
        torch.bmm(matrix.expand(tensor.shape[1], -1, -1), tensor.transpose(0, 1), out=out.transpose(0, 1))


def _multiply(matrix: Tensor, each: Tensor, out: Tensor) -> Tensor:
    return torch.bmm(matrix.expand(len(each), -1, -1), each, out=out)


@cached
def _to_frequencies(grid: tuple[int, ...], crop: Crop, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Return e^(-i angle), a matrix per axis: (2, frequencies) by (pixels, 2), the last by real (pixels)."""
    *others, last = _waves(grid, crop)
    complete = torch.cat([last.real, last.imag])
    matrices = [_pairs(torch.cat([wave.real, wave.imag]), torch.cat([-wave.imag, wave.real])) for wave in others]
    return _like(dtype, device, [*matrices, complete])


@cached
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
