"""Parts of operators as dense float64 matrices, entry by entry from their definitions.

They are the oracle of the tests, for small grids; `dense_layers` has those of whole layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

__all__ = [
    "circular_convolution_matrix",
    "embedding_matrix",
    "flat_index",
    "inverse_square_root",
    "selection_matrix",
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
    matrix = torch.zeros(*grid, *grid, dtype=torch.float64)
    pixels = torch.unravel_index(torch.arange(math.prod(grid)), tuple(grid))
    for tap in product(*map(range, kernel.shape)):
        sources = [(m + d * t - o) % n for m, d, t, o, n in zip(pixels, dilation, tap, offset, grid, strict=True)]
        matrix[(*pixels, *sources)] += kernel[tap].double()
    return matrix.reshape(math.prod(grid), math.prod(grid))


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
    matrix = torch.zeros(*count, *grid, dtype=torch.float64)
    pixels = torch.unravel_index(torch.arange(math.prod(count)), tuple(count))
    sources = [(a + m * s) % n for a, m, s, n in zip(start, pixels, step, grid, strict=True)]
    matrix[(*pixels, *sources)] = 1
    return matrix.reshape(math.prod(count), math.prod(grid))


def inverse_square_root(matrix: Tensor, eps: float = 0.0) -> Tensor:
    """Return (M + eps I)^(-1/2) of a symmetric positive semidefinite matrix, by eigendecomposition, in float64.

    >>> inverse_square_root(torch.tensor([[4.0]]))
    tensor([[0.5000]], dtype=torch.float64)
    """
    eigenvalues, eigenvectors = torch.linalg.eigh(matrix.double())
    root: Tensor = eigenvectors @ torch.diag((eigenvalues.clamp_min(0) + eps).rsqrt()) @ eigenvectors.T
    return root


def flat_index(pixel: Sequence[int], grid: Sequence[int]) -> int:
    """Return the place of a pixel in row-major order.

    >>> flat_index([1, 2], [4, 3])
    5
    """
    index = 0
    for m, n in zip(pixel, grid, strict=True):
        index = index * n + m
    return index
