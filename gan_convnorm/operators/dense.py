"""Operators as dense float64 matrices, entry by entry from their definitions: the oracle of tests, for small grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

__all__ = [
    "circular_convolution_matrix",
    "convolution_matrix",
    "embedding_matrix",
    "inverse_square_root",
    "selection_matrix",
    "transposed_convolution_matrix",
]


def circular_convolution_matrix(
    kernel: Tensor, grid: Sequence[int], dilation: Sequence[int] | None = None, offset: Sequence[int] | None = None
) -> Tensor:
    """Return the matrix of y[m] = sum_t a[t] x[m + d t - o], indices modulo the grid: deep learning's convolution.

    >>> circular_convolution_matrix(torch.tensor([1.0, 10.0]), (3,))
    tensor([[ 1., 10.,  0.],
            [ 0.,  1., 10.],
            [10.,  0.,  1.]], dtype=torch.float64)

    Args:
        kernel: one kernel a, any number of dimensions.
        grid: size of the circular grid.
        dilation: d, the spacing of the taps in pixels, one by default.
        offset: o, the padding of the layer, by which its output is shifted, in pixels; zero by default.

    Returns:
        Shape (pixels, pixels), float64, pixels in row-major order.
    """
    dilation, offset = dilation or [1] * len(grid), offset or [0] * len(grid)
    matrix = torch.zeros(math.prod(grid), math.prod(grid), dtype=torch.float64)
    for row, pixel in enumerate(product(*map(range, grid))):
        for tap in product(*map(range, kernel.shape)):
            source = [(m + d * t - o) % n for m, d, t, o, n in zip(pixel, dilation, tap, offset, grid, strict=True)]
            matrix[row, _flat_index(source, grid)] += kernel[tap].double()
    return matrix


def embedding_matrix(size: Sequence[int], grid: Sequence[int], spacing: Sequence[int] | None = None) -> Tensor:
    """Return the matrix that places an image on a grid of zeros, from its first corner on, a pixel at every `spacing`.

    >>> embedding_matrix((2,), (4,), (2,)) @ torch.tensor([5.0, 7.0]).double()
    tensor([5., 0., 7., 0.], dtype=torch.float64)

    Args:
        size: pixels of the image.
        grid: pixels of the grid.
        spacing: in pixels, one by default.

    Returns:
        Shape (pixels of the grid, pixels of the image), float64.
    """
    return selection_matrix(grid, [0] * len(grid), size, spacing or [1] * len(grid)).T.contiguous()


def selection_matrix(grid: Sequence[int], start: Sequence[int], count: Sequence[int], step: Sequence[int]) -> Tensor:
    """Return the matrix that reads `count` pixels at every `step` from `start` on a circular grid: crop and stride.

    >>> selection_matrix((4,), [3], [2], [2]) @ torch.arange(4.0).double()
    tensor([3., 1.], dtype=torch.float64)

    Args:
        grid: pixels of the grid.
        start: index of the first pixel that is read, per dimension.
        count: pixels that are read, per dimension.
        step: pixels from one to the next, per dimension.

    Returns:
        Shape (pixels read, pixels of the grid), float64.
    """
    matrix = torch.zeros(math.prod(count), math.prod(grid), dtype=torch.float64)
    for row, pixel in enumerate(product(*map(range, count))):
        source = [(a + m * s) % n for a, m, s, n in zip(start, pixel, step, grid, strict=True)]
        matrix[row, _flat_index(source, grid)] = 1
    return matrix


def inverse_square_root(matrix: Tensor, eps: float = 0.0) -> Tensor:
    """Return (M + eps I)^(-1/2) of a symmetric positive semidefinite matrix, by eigendecomposition, in float64.

    >>> inverse_square_root(torch.tensor([[4.0]]))
    tensor([[0.5000]], dtype=torch.float64)
    """
    eigenvalues, eigenvectors = torch.linalg.eigh(matrix.double())
    root: Tensor = eigenvectors @ torch.diag((eigenvalues.clamp_min(0) + eps).rsqrt()) @ eigenvectors.T
    return root


def convolution_matrix(
    weight: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int = 1,
    mode: str = "zeros",
) -> Tensor:
    """Return the matrix of the layer y_k[m] = sum_jt a_kj[t] x_j[s m + d t - p], with x padded as `mode` says.

    >>> weight = torch.tensor([[[1.0, 10.0]]])
    >>> convolution_matrix(weight, (2,), (1,), [(1, 0)], (1,))
    tensor([[10.,  0.],
            [ 1., 10.]], dtype=torch.float64)

    Args:
        weight: shape (C_out, C_in / groups, *kernel_size).
        size: pixels of the image.
        stride: s.
        padding: pixels before (p) and after the image, per dimension.
        dilation: d.
        groups: an output channel sees the input channels of its own group only.
        mode: zeros, circular, reflect or replicate.

    Returns:
        Shape (C_out * output pixels, C_in * pixels), float64, channel by channel, pixels in row-major order.
    """
    taps, kernels = weight.shape[2:], weight.flatten(2).double()
    axes = list(zip(size, taps, stride, padding, dilation, strict=True))
    counts = [(n + before + after - d * (k - 1) - 1) // s + 1 for n, k, s, (before, after), d in axes]
    rows, columns = weight.shape[0] // groups, weight.shape[1]
    matrix = torch.zeros(weight.shape[0], math.prod(counts), columns * groups, math.prod(size), dtype=torch.float64)
    for output, pixel in enumerate(product(*map(range, counts))):
        for number, tap in enumerate(product(*map(range, taps))):
            source = [
                _continued(s * m + d * t - before, n, mode)
                for m, t, (n, _, s, (before, _), d) in zip(pixel, tap, axes, strict=True)
            ]
            if None in source:
                continue
            index = _flat_index([n for n in source if n is not None], size)
            for g in range(groups):
                k, j = slice(g * rows, (g + 1) * rows), slice(g * columns, (g + 1) * columns)
                matrix[k, output, j, index] += kernels[k, :, number]
    return matrix.flatten(2).flatten(0, 1)


def transposed_convolution_matrix(
    weight: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> Tensor:
    """Return the matrix in which input pixel m adds a_jk[t] x_j[m] to output pixel s m + d t - p of channel k.

    >>> weight = torch.tensor([[[1.0, 10.0]]])
    >>> transposed_convolution_matrix(weight, (2,), (1,), (0,), (0,), (1,))
    tensor([[ 1.,  0.],
            [10.,  1.],
            [ 0., 10.]], dtype=torch.float64)

    Args:
        weight: shape (C_in, C_out / groups, *kernel_size).
        size: pixels of the image.
        stride: s.
        padding: p, cut away on both sides.
        output_padding: additional pixels at the end.
        dilation: d.
        groups: an input channel adds to the output channels of its own group only.

    Returns:
        Shape (C_out * output pixels, C_in * pixels), float64, ordered as in `convolution_matrix`.
    """
    taps, kernels = weight.shape[2:], weight.flatten(2).double()
    axes = list(zip(size, taps, stride, padding, output_padding, dilation, strict=True))
    counts = [(n - 1) * s - 2 * p + d * (k - 1) + extra + 1 for n, k, s, p, extra, d in axes]
    rows, columns = weight.shape[0] // groups, weight.shape[1]
    matrix = torch.zeros(columns * groups, math.prod(counts), weight.shape[0], math.prod(size), dtype=torch.float64)
    for index, pixel in enumerate(product(*map(range, size))):
        for number, tap in enumerate(product(*map(range, taps))):
            target = [s * m + d * t - p for m, t, (_, _, s, p, _, d) in zip(pixel, tap, axes, strict=True)]
            if any(not 0 <= q < count for q, count in zip(target, counts, strict=True)):
                continue
            output = _flat_index(target, counts)
            for g in range(groups):
                j, k = slice(g * rows, (g + 1) * rows), slice(g * columns, (g + 1) * columns)
                matrix[k, output, j, index] += kernels[j, :, number].T
    return matrix.flatten(2).flatten(0, 1)


def _continued(position: int, size: int, mode: str) -> int | None:
    """Return the index of the pixel that a padded position repeats; None for a zero."""
    if mode == "circular":
        return position % size
    if mode == "replicate":
        return min(max(position, 0), size - 1)
    if mode == "reflect":
        return size - 1 - abs(size - 1 - abs(position))
    return position if 0 <= position < size else None


def _flat_index(pixel: Sequence[int], grid: Sequence[int]) -> int:
    index = 0
    for m, n in zip(pixel, grid, strict=True):
        index = index * n + m
    return index
