"""The oracle: operators as dense float64 matrices, entry by entry from their definitions. Small grids only."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

__all__ = ["circular_convolution_matrix", "embedding_matrix", "inverse_square_root", "selection_matrix"]


def circular_convolution_matrix(
    kernel: Tensor, grid: tuple[int, int], dilation: tuple[int, int] = (1, 1), offset: tuple[int, int] = (0, 0)
) -> Tensor:
    """Matrix A of y[m] = sum_t a[t] x[m + dilation * t - offset], indices modulo the grid (deep-learning convolution).

    Args:
        kernel: one kernel a, shape (k_h, k_w).
        grid: height and width of the circular grid.
        dilation: spacing of the taps in pixels.
        offset: padding of the layer: the row and column by which the output is shifted.

    Returns:
        Shape (N_h N_w, N_h N_w), float64, pixels in row-major order.
    """
    height, width = grid
    matrix = torch.zeros(height, width, height, width, dtype=torch.float64)
    row, column = torch.arange(height)[:, None], torch.arange(width)[None, :]
    for tap_h, tap_w in product(range(kernel.shape[0]), range(kernel.shape[1])):
        source_h = (row + dilation[0] * tap_h - offset[0]) % height
        source_w = (column + dilation[1] * tap_w - offset[1]) % width
        matrix[row, column, source_h, source_w] += kernel[tap_h, tap_w].double()
    return matrix.reshape(height * width, height * width)


def embedding_matrix(size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Matrix that places an image of `size` in the upper left corner of a grid of zeros.

    Returns:
        Shape (N_h N_w, H W), float64.
    """
    matrix = torch.zeros(*grid, *size, dtype=torch.float64)
    for row, column in product(range(size[0]), range(size[1])):
        matrix[row, column, row, column] = 1
    return matrix.reshape(grid[0] * grid[1], size[0] * size[1])


def selection_matrix(
    grid: tuple[int, int], start: tuple[int, int], count: tuple[int, int], step: tuple[int, int]
) -> Tensor:
    """Matrix that reads `count` pixels at every `step` from `start` on a grid: crop and stride.

    Returns:
        Shape (count_h count_w, N_h N_w), float64.
    """
    matrix = torch.zeros(*count, *grid, dtype=torch.float64)
    for row, column in product(range(count[0]), range(count[1])):
        matrix[row, column, start[0] + row * step[0], start[1] + column * step[1]] = 1
    return matrix.reshape(count[0] * count[1], grid[0] * grid[1])


def inverse_square_root(matrix: Tensor, eps: float = 0.0) -> Tensor:
    """(M + eps I)^(-1/2) of a symmetric positive semidefinite matrix, by eigendecomposition."""
    eigenvalues, eigenvectors = torch.linalg.eigh(matrix.double())
    return eigenvectors @ torch.diag((eigenvalues.clamp_min(0) + eps).rsqrt()) @ eigenvectors.T
