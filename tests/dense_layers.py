"""Whole layers as dense float64 matrices, entry by entry from their definitions: the oracle of the tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from dense_operators import flat_index
from torch import Tensor

__all__ = ["convolution_matrix", "transposed_convolution_matrix"]


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
            index = flat_index([n for n in source if n is not None], size)
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
            output = flat_index(target, counts)
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
