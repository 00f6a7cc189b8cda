"""An upper bound on a layer's operator norm that needs no convergence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from gan_convnorm.operators.gram_iteration import gram_iteration
from gan_convnorm.operators.kernel import Kernel, check_size, check_tolerance, kernel_of
from gan_convnorm.operators.linear_map import linear_matrix
from gan_convnorm.operators.matrix_norm import matrix_norm
from gan_convnorm.operators.sum_bound import sum_bound

__all__ = ["certified_bound"]


@torch.no_grad()
def certified_bound(conv: nn.Module, input_size: Sequence[int] = (), *, tolerance: float = 1e-2) -> float | None:
    """At least ||A||_2 of the layer as it is, up to rounding.

    The smaller of `gram_iteration` and `sum_bound`. Zero padding embeds the image, an isometry, in a circular grid so
    large that nothing read has gone around, and the crop to the output only lowers a norm; so the circular operator's
    bound holds. A padding that copies pixels (reflect, replicate, circular) enlarges norms by at most the square root
    of the largest number of copies, which is multiplied in. A ConvNorm layer is taken on its own grid with its filters.

    Args:
        conv: as in `operator_norm`.
        input_size: as in `operator_norm`.
        tolerance: of the Gram iteration, relative to the circular operator's norm.

    Returns:
        None for a layer of which neither kernel nor filter is known.

    Raises:
        BadInput: an image size that the layer cannot have, or a tolerance that is not above 0 and below 1.
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
    iterated = gram_iteration(kernel, grid, strided=strided, tolerance=tolerance)
    return math.sqrt(copies) * min(iterated, sum_bound(kernel, strided=strided))


def _plain_grid(layer: _ConvNd, kernel: Kernel, size: Sequence[int]) -> tuple[int, list[int], bool]:
    """How often a pixel is copied at most, the circular grid, and whether the stride is a whole number of it."""
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
    """A grid on which circular and linear convolution of an image agree, in whole strides."""
    return [-(-(n + span) // s) * s for n, span, s in zip(size, kernel.span, kernel.stride, strict=True)]


def _padding_pairs(layer: _ConvNd) -> list[tuple[int, int]]:
    flat = layer._reversed_padding_repeated_twice
    return [(flat[i], flat[i + 1]) for i in range(len(flat) - 2, -1, -2)]


def _copies(size: int, pad: tuple[int, int], mode: str) -> int:
    """How often the pixel that is copied most stands in a padded row."""
    row = torch.arange(size, dtype=torch.float64)[None]
    return int(nn.functional.pad(row, pad, mode=mode).long().flatten().bincount().max())


def _filtered(layer: Any, kernel: Kernel, size: Sequence[int], tolerance: float) -> float | None:
    """Of a ConvNorm layer, on the grid that its method `respond` names."""
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
    bound = gram_iteration(kernel, fine, strided=kernel.coarse_filter, tolerance=tolerance)
    return math.sqrt(copies) * bound


def _rows_bound(layer: Any, grid: tuple[int, ...]) -> float:
    """From ||Q_k|| <= 1, which holds for truncated filters too: sqrt(sum_k max_w |gain R_k|^2), the largest group's."""
    scale = layer.transfer_function(grid).abs() * layer.spectrum(grid).sqrt()
    squares = scale.flatten(1).amax(1).double().square()
    return math.sqrt(float(squares.view(layer.groups, -1).sum(1).max()))
