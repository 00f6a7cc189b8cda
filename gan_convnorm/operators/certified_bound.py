"""An upper bound on a layer's operator norm that needs no convergence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from gan_convnorm.operators.circular_convolution import CircularConvolution
from gan_convnorm.operators.gram_iteration import gram_iteration
from gan_convnorm.operators.kernel import Kernel, check_size, check_tolerance, kernel_of
from gan_convnorm.operators.layer_operator import linear_matrix
from gan_convnorm.operators.matrix_norm import matrix_norm
from gan_convnorm.operators.sum_bound import sum_bound

__all__ = ["certified_bound"]


@torch.no_grad()
def certified_bound(conv: nn.Module, input_size: Sequence[int] = (), *, tolerance: float = 1e-2) -> float | None:
    """Return a number that is at least ||A||_2 of the layer as it acts, up to rounding.

    It is the smaller of `gram_iteration` and `sum_bound`. Zero padding embeds the image in a circular grid, which keeps
    its norm. The grid is so large that no pixel that is read has wrapped around. The crop to the output only lowers a
    norm, so the circular operator's bound holds. A padding that copies pixels (reflect, replicate, circular) enlarges
    norms by at most the square root of the largest number of copies, which is multiplied in. A ConvNorm layer has its
    own grid and its filters.

    >>> layer = nn.Conv2d(1, 1, 1)
    >>> layer.weight.data.fill_(-3.0)
    tensor([[[[-3.]]]])
    >>> certified_bound(layer, (4, 4))
    3.0

    Args:
        conv: as `layer` in `layer_operator`.
        input_size: as in `operator_norm`.
        tolerance: of the Gram iteration, relative to the circular operator's norm.

    Returns:
        The bound, zero or above; None for a layer whose kernel and filter are not known. An image size that the layer
        cannot have raises `BadInput`, and so does a tolerance that is not above 0 and below 1.
    """
    check_tolerance(tolerance)
    if isinstance(conv, nn.Linear):
        return matrix_norm(linear_matrix(conv))
    size = check_size(conv, input_size)
    kernel = kernel_of(conv)
    if kernel is None:
        return None
    layer: Any = conv
    if kernel.transfer is not None:
        return _filtered(layer, kernel, size, tolerance)
    copies, grid, strided = _plain_grid(layer, kernel, size)
    iterated = gram_iteration(CircularConvolution(kernel, grid, strided=strided), tolerance=tolerance)
    return math.sqrt(copies) * min(iterated, sum_bound(kernel, strided=strided))


def _plain_grid(layer: _ConvNd, kernel: Kernel, size: Sequence[int]) -> tuple[int, list[int], bool]:
    """Return how often a pixel is copied at most, the circular grid, and whether the stride divides the grid."""
    if kernel.transposed:
        return 1, _multiples([(n - 1) * s + 1 for n, s in zip(size, kernel.stride, strict=True)], kernel), True
    pads = _padding_pairs(layer)
    if layer.padding_mode == "zeros":
        return 1, _multiples(size, kernel), True
    padded = [n + sum(pad) for n, pad in zip(size, pads, strict=True)]
    if layer.padding_mode == "circular":
        divides = all(n % s == 0 for n, s in zip(size, kernel.stride, strict=True))
        # Output pixels that are whole turns of the grid apart are the same.
        positions = [n - span for n, span in zip(padded, kernel.span, strict=True)]
        return math.prod(-(-p // n) for p, n in zip(positions, size, strict=True)), list(size), divides
    copies = math.prod(_copies(n, pad, layer.padding_mode) for n, pad in zip(size, pads, strict=True))
    return copies, _multiples(padded, kernel), True


def _multiples(size: Sequence[int], kernel: Kernel) -> list[int]:
    """Return a grid that the stride divides and on which circular and linear convolution of an image agree."""
    return [-(-(n + span) // s) * s for n, span, s in zip(size, kernel.span, kernel.stride, strict=True)]


def _padding_pairs(layer: _ConvNd) -> list[tuple[int, int]]:
    flat = layer._reversed_padding_repeated_twice
    return [(flat[i], flat[i + 1]) for i in range(len(flat) - 2, -1, -2)]


def _copies(size: int, pad: tuple[int, int], mode: str) -> int:
    """Return how often the pixel that is copied most stands in a padded row."""
    row = torch.arange(size, dtype=torch.float64)[None]
    return int(nn.functional.pad(row, pad, mode=mode).long().flatten().bincount().max())


def _filtered(module: nn.Module, kernel: Kernel, size: Sequence[int], tolerance: float) -> float | None:
    """Return the bound of a ConvNorm layer, on the grid that its method `respond` names."""
    layer: Any = module  # known by what it has, since operators import no layer
    image = layer.weight.new_zeros(1, layer.in_channels, *size)
    geometry = layer.respond(image)[1]
    copies = 1
    if layer.padding_mode in ("reflect", "replicate"):
        pads = _padding_pairs(layer)
        copies = math.prod(_copies(n, pad, layer.padding_mode) for n, pad in zip(size, pads, strict=True))
    elif layer.padding_mode == "circular":
        # The filtered grid has every pixel once; the crop may go around it.
        axes = zip(geometry.crop, geometry.grid, strict=True)
        copies = math.prod(-(-count * step // n) for (_, count, step), n in axes)
    if layer.options.tolerance:
        return None if layer.options.boundary == "linear" else math.sqrt(copies) * _rows_bound(layer, geometry.grid)
    # A stride after the filter is a selection of pixels, and one before it is in the fine grid's frequencies.
    fine = geometry.grid
    if kernel.coarse_filter:
        fine = tuple(n * s for n, s in zip(fine, kernel.stride, strict=True))
    operator = CircularConvolution(kernel, fine, strided=kernel.coarse_filter)
    bound = gram_iteration(operator, tolerance=tolerance)
    return math.sqrt(copies) * bound


def _rows_bound(module: nn.Module, grid: tuple[int, ...]) -> float:
    """Return sqrt(sum_k max_w |gain R_k|^2) of the largest group: ||Q_k|| <= 1 also for truncated filters."""
    layer: Any = module
    scale = layer.transfer_function(grid).abs() * layer.power_spectrum(grid).sqrt()
    squares = scale.flatten(1).amax(1).double().square()
    return math.sqrt(float(squares.view(layer.groups, -1).sum(1).max()))
