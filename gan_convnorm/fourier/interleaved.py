"""Spectra of a batch of images, frequencies first, and of their interleaved parts.

With a fold of s, the pixels x[s m + p] of an image are the images p = 0, ..., s - 1 of a grid that is s times smaller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from gan_convnorm.fourier.execution import complex_dtype, parts
from gan_convnorm.fourier.grid_filter import Crop
from gan_convnorm.fourier.matrix_transform import half_grid, memory, pixels_to_spectra, spectra_to_pixels

__all__ = ["every", "from_frequencies", "read_pixels", "starts", "to_frequencies", "write_spectra"]


def to_frequencies(image: Tensor, grid: Sequence[int], fold: Sequence[int], *, conjugate: bool = False) -> Tensor:
    """Return the spectra of an image's interleaved parts, (frequencies, B, parts * C).

    >>> to_frequencies(torch.ones(1, 1, 4), [4], [1]).abs().round().flatten()
    tensor([4., 0., 0.])
    """
    count = math.prod(grid[:-1]) * (grid[-1] // 2 + 1)
    shape = (count, image.shape[0], math.prod(fold), image.shape[1])
    spectra = memory.take("spectra", image, shape, complex_dtype(image))
    counts = _largest_part(image, fold)
    for rows in parts(image):
        pixels = image[rows].movedim(1, -1)
        if math.prod(fold) > 1:
            interleaved = memory.take("interleaved", pixels, (len(pixels), math.prod(fold), *counts, image.shape[1]))
            for index, start in enumerate(starts(fold)):
                own = pixels[every(start, fold)]
                if own.shape[1:-1] != counts:
                    interleaved[:, index] = 0
                interleaved[:, index][tuple(map(slice, own.shape))] = own
            pixels = interleaved.flatten(0, 1)
        write_spectra(spectra[:, rows], pixels, grid, [(0, n, 1) for n in counts], conjugate)
    return spectra.flatten(2)


def from_frequencies(image: Tensor, spectra: Tensor, grid: Sequence[int], fold: Sequence[int]) -> Tensor:
    """Return images of the shape of `image`: the transpose of `to_frequencies`, up to the half grid's weights."""
    found = torch.empty_like(image)
    inside = [(0, n, 1) for n in _largest_part(image, fold)]
    for rows in parts(image):
        pixels = found[rows].movedim(1, -1)
        own = spectra[:, rows].unflatten(2, (-1, image.shape[1]))
        if math.prod(fold) == 1:
            read_pixels(own, grid, inside, pixels)
            continue
        interleaved = read_pixels(own, grid, inside).unflatten(0, (len(pixels), -1))
        for index, start in enumerate(starts(fold)):
            part = pixels[every(start, fold)]
            part.copy_(interleaved[:, index][tuple(map(slice, part.shape))])
    return found


def write_spectra(spectra: Tensor, pixels: Tensor, grid: Sequence[int], crop: Crop, conjugate: bool = False) -> None:
    """Write the spectra of pixels, (B * parts, *counts, C), into (frequencies, B, parts, C)."""
    found = pixels_to_spectra(pixels, grid, crop, conjugate=conjugate).flatten(2, -2)
    real, imaginary = found.unflatten(0, spectra.shape[1:3]).permute(2, 3, 0, 1, 4)
    torch.complex(real, imaginary, out=spectra)


def read_pixels(spectra: Tensor, grid: Sequence[int], crop: Crop, out: Tensor | None = None) -> Tensor:
    """Return the pixels, (B * parts, *counts, C), of spectra (frequencies, B, parts, C); `out` may have any strides.

    >>> read_pixels(torch.tensor([4.0, 0.0, 0.0]).to(torch.complex64).view(3, 1, 1, 1), [4], [(0, 2, 1)]).flatten()
    tensor([1., 1.])
    """
    _, images, interleaved, channels = spectra.shape
    parts_first = torch.view_as_real(spectra).permute(1, 2, 4, 0, 3)
    split = memory.take("split", parts_first, parts_first.shape).copy_(parts_first)
    split = split.view(images * interleaved, 2, *half_grid(grid), channels)
    if out is None or not out.is_contiguous():
        found = spectra_to_pixels(split, grid, crop)
        return found if out is None else out.copy_(found)
    return spectra_to_pixels(split, grid, crop, out)


def starts(fold: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the first pixel of every interleaved part.

    >>> starts((1, 2))
    [(0, 0), (0, 1)]
    """
    return list(product(*map(range, fold)))


def every(start: Sequence[int], fold: Sequence[int]) -> tuple[slice, ...]:
    """Return the index of the pixels of one interleaved part, in all images.

    >>> every((1,), (2,))
    (slice(None, None, None), slice(1, None, 2))
    """
    return (slice(None), *(slice(first, None, step) for first, step in zip(start, fold, strict=True)))


def _largest_part(image: Tensor, fold: Sequence[int]) -> torch.Size:
    """Return the size of the first of the interleaved parts; another may be a pixel smaller."""
    return torch.Size(-(-n // s) for n, s in zip(image.shape[2:], fold, strict=True))
