"""Three ways to apply the preconditioner to a convolution, and the choice of the fastest; all give the same output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gan_convnorm.fourier.circular_grid import memory_format_of, traced
from gan_convnorm.fourier.convolution import convolve_in_fourier
from gan_convnorm.fourier.tap_responses import tap_responses
from gan_convnorm.layers.convnorm.geometry import Geometry
from gan_convnorm.layers.convnorm.preconditioned import Preconditioned
from gan_convnorm.layers.kernels import convolve

__all__ = ["Strategy", "choose", "full_response", "pooled"]

#: takes the layer, the padded images, their geometry, S_k + eps and the side of the pooling; returns the output
Strategy = Callable[[Preconditioned, Tensor, Geometry, Tensor, int], Tensor]

#: pixels a side up to which transforms by matrix products (`matrix_transform.py`) are worth while
LARGEST_GRID = 192


def choose(layer: Preconditioned, images: Tensor, geometry: Geometry) -> Strategy:
    """Return the fastest way for a layer and a batch.

    Args:
        layer: the layer.
        images: shape (B, C_in, *size), padded where the layer pads by reflection or replication.
        geometry: of the layer's response to them.
    """
    if layer.options.tolerance and not traced():
        return by_taps
    return by_products if products_pay(layer, images, geometry) else by_transforms


def products_pay(layer: Preconditioned, images: Tensor, geometry: Geometry) -> bool:
    """Return whether the kernels' transforms are few beside the images' (docs/results/convnorm_cost.md).

    On a GPU a convolution is so much faster than a complex matrix product that nothing is gained. The products there
    would also be only as exact as float32_matmul_precision lets them be.
    """
    if layer.groups > 1 or any(s > 1 for s in geometry.stride):
        return False
    if images.dtype not in (torch.float32, torch.float64) or images.dtype != layer.weight.dtype:
        return False
    if images.device.type != "cpu" or torch.is_autocast_enabled("cpu") or traced():
        return False
    if max(geometry.grid) > LARGEST_GRID:
        return False
    return layer.in_channels * layer.out_channels <= 2 * images.shape[0] * (layer.in_channels + layer.out_channels)


def by_transforms(layer: Preconditioned, images: Tensor, geometry: Geometry, spectrum: Tensor, pool: int) -> Tensor:
    """Return the output by a convolution, then the exact filter through the Fourier domain."""
    response = full_response(layer, images, geometry)
    return pooled(layer.precondition(response, spectrum, None, geometry), pool)


def by_taps(layer: Preconditioned, images: Tensor, geometry: Geometry, spectrum: Tensor, pool: int) -> Tensor:
    """Return the output by a convolution, then the filter cut to few taps; exactly where no cut is certified."""
    taps = layer.truncate(spectrum, geometry.grid)
    if taps is None:
        exact = by_products if products_pay(layer, images, geometry) else by_transforms
        return exact(layer, images, geometry, spectrum, pool)
    response = full_response(layer, images, geometry)
    return pooled(layer.precondition(response, spectrum, taps, geometry), pool)


def by_products(layer: Preconditioned, images: Tensor, geometry: Geometry, spectrum: Tensor, pool: int) -> Tensor:
    """Return the output by one matrix product a frequency: convolution and filter together."""
    grid, steps = geometry.grid, [step for _, _, step in geometry.crop]
    if pool > 1 and any(step > 1 for step in steps):
        return pooled(by_products(layer, images, geometry, spectrum, 1), pool)
    steps = [step * pool for step in steps]
    # The output starts at the grid's first pixel, so that a fold's pixels are the wanted ones.
    offset = [p - first for p, (first, _, _) in zip(geometry.padding, geometry.crop, strict=True)]
    fold = tuple(s if n % s == 0 else 1 for n, s in zip(grid, steps, strict=True))
    counts = [count // pool for _, count, _ in geometry.crop]
    crop = tuple((0, count, s // f) for count, s, f in zip(counts, steps, fold, strict=True))
    folded = tuple(n // f for n, f in zip(grid, fold, strict=True))
    transfer = layer.transfer(spectrum, grid)
    responses = tap_responses(transfer, layer.kernel_size, grid, layer.dilation, offset, fold, pool)
    return convolve_in_fourier(images, layer.weight, responses, layer.bias, folded, fold, crop)


def full_response(layer: Preconditioned, images: Tensor, geometry: Geometry) -> Tensor:
    """Return sum_j a_kj (*) x_j on all of the grid, shape (B, C_out, *geometry.size), for images that are padded."""
    padding: tuple[int, ...] | int = geometry.padding
    if layer.padding_mode == "circular":
        memory_format = memory_format_of(images)
        for axis, (before, n, s, k, d) in enumerate(
            zip(geometry.padding, geometry.size, geometry.stride, layer.kernel_size, layer.dilation, strict=True),
            start=2,
        ):
            last = s * (n - 1) + d * (k - 1) - before
            index = torch.arange(-before, last + 1, device=images.device) % images.shape[axis]
            images = images.index_select(axis, index)
        images, padding = images.contiguous(memory_format=memory_format), 0
    layout: dict[str, Any] = {"stride": geometry.stride, "padding": padding, "dilation": layer.dilation}
    return convolve(images, layer.weight, **layout, groups=layer.groups)


def pooled(output: Tensor, side: int) -> Tensor:
    """Return the averages of an output over boxes of a side; the output itself for 1."""
    if side == 1:
        return output
    average = (nn.functional.avg_pool1d, nn.functional.avg_pool2d, nn.functional.avg_pool3d)
    return average[output.dim() - 3](output, side)
