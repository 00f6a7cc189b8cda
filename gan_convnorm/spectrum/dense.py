"""The oracle: operators as dense float64 matrices, entry by entry from their definitions. Small grids only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

__all__ = ["circular_convolution_matrix", "embedding_matrix", "inverse_square_root", "selection_matrix"]


def circular_convolution_matrix(
    kernel: Tensor, grid: Sequence[int], dilation: Sequence[int] | None = None, offset: Sequence[int] | None = None
) -> Tensor:
    """Matrix A of y[m] = sum_t a[t] x[m + dilation * t - offset], indices modulo the grid (deep-learning convolution).

    Args:
        kernel: one kernel a, any number of dimensions.
        grid: size of the circular grid.
        dilation: spacing of the taps in pixels, one by default.
        offset: padding of the layer: the pixels by which the output is shifted, zero by default.

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
    """Matrix that places an image of `size` from the first corner of a grid of zeros on, a pixel at every `spacing`.

    Returns:
        Shape (pixels of the grid, pixels of the image), float64.
    """
    return selection_matrix(grid, [0] * len(grid), size, spacing or [1] * len(grid)).T.contiguous()


def selection_matrix(grid: Sequence[int], start: Sequence[int], count: Sequence[int], step: Sequence[int]) -> Tensor:
    """Matrix that reads `count` pixels at every `step` from `start` on a circular grid: crop and stride.

    Returns:
        Shape (pixels read, pixels of the grid), float64.
    """
    matrix = torch.zeros(math.prod(count), math.prod(grid), dtype=torch.float64)
    for row, pixel in enumerate(product(*map(range, count))):
        source = [(a + m * s) % n for a, m, s, n in zip(start, pixel, step, grid, strict=True)]
        matrix[row, _flat_index(source, grid)] = 1
    return matrix


def inverse_square_root(matrix: Tensor, eps: float = 0.0) -> Tensor:
    """(M + eps I)^(-1/2) of a symmetric positive semidefinite matrix, by eigendecomposition."""
    eigenvalues, eigenvectors = torch.linalg.eigh(matrix.double())
    return eigenvectors @ torch.diag((eigenvalues.clamp_min(0) + eps).rsqrt()) @ eigenvectors.T


def _flat_index(pixel: Sequence[int], grid: Sequence[int]) -> int:
    index = 0
    for m, n in zip(pixel, grid, strict=True):
        index = index * n + m
    return index
