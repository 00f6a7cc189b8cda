"""Three methods that convolve and apply the preconditioner, and the choice of the fastest.

Two have the same output; `filter_by_taps` has it within the layer's tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gan_convnorm.fourier.convolution import convolve_in_fourier
from gan_convnorm.fourier.direct import CONVOLVE
from gan_convnorm.fourier.execution import autocast_off, exact_dtype, memory_format_of, output_dtype, traced
from gan_convnorm.fourier.grid_filter import filter_reference, filter_response
from gan_convnorm.fourier.tap_waves import tap_waves
from gan_convnorm.layers.convnorm.geometry import Geometry
from gan_convnorm.layers.convnorm.polyphase import polyphase
from gan_convnorm.layers.convnorm.preconditioned import Preconditioned
from gan_convnorm.layers.convnorm.truncation import Truncated, filter_truncated

__all__ = ["Method", "choose", "filter_exactly", "full_response", "pooled", "precondition"]

#: takes the layer, the padded images, their geometry, S_k + eps and the side of the pooling; returns the output
Method = Callable[[Preconditioned, Tensor, Geometry, Tensor, int], Tensor]

#: (images' dtype, weight's dtype) for which `convolve_by_matmul` works, without autocast and with it
DTYPES = [(dtype, dtype) for dtype in (torch.float32, torch.float64)]
AUTOCAST_DTYPES = [(dtype, torch.float32) for dtype in (torch.float32, torch.bfloat16, torch.float16)]
#: pixels a side up to which transforms by matrix products (`matrix_transform.py`) are worth while
LARGEST_GRID = 192
#: batch size from which `convolve_by_matmul` is faster for any number of channels, on CPUs with AVX2 and with AVX-512
ENOUGH_IMAGES = 16
#: channels (half the harmonic mean of inputs and outputs) at which `convolve_by_matmul` saves, for one image, what the
#: kernels' transforms cost
CHANNELS_PER_IMAGE = 5


def choose(layer: Preconditioned, images: Tensor, geometry: Geometry) -> Method:
    """Return the fastest method for a layer and a batch.

    Args:
        layer: the layer.
        images: shape (B, C_in, *size), padded already if the layer pads by reflection or replication.
        geometry: of the layer's response to them.

    >>> from gan_convnorm.layers import ConvNorm1d
    >>> layer = ConvNorm1d(64, 64, 3)
    >>> for batch in torch.zeros(1, 64, 8), torch.zeros(16, 64, 8):
    ...     print(choose(layer, batch, layer.respond(batch)[1]).__name__)
    filter_by_fft
    convolve_by_matmul
    """
    if layer.options.tolerance and not traced():
        return filter_by_taps
    return convolve_by_matmul if matmul_pays(layer, images, geometry) else filter_by_fft


def matmul_pays(layer: Preconditioned, images: Tensor, geometry: Geometry) -> bool:
    """Return True if the batch is large enough to earn the kernels' transforms (docs/results/convnorm_cost.md).

    A GPU's convolution is so fast beside its complex matrix products that nothing is gained there. The products would
    also be only as exact as float32_matmul_precision lets them be.

    >>> from gan_convnorm.layers import ConvNorm1d
    >>> layer = ConvNorm1d(64, 64, 3)
    >>> geometry = layer.respond(torch.zeros(1, 64, 8))[1]
    >>> [matmul_pays(layer, torch.zeros(count, 64, 8), geometry) for count in (1, 16)]
    [False, True]
    """
    if layer.groups > 1 or images.device.type != "cpu" or traced():
        return False
    autocast, dtypes = torch.is_autocast_enabled("cpu"), (images.dtype, layer.weight.dtype)
    if dtypes not in (AUTOCAST_DTYPES if autocast else DTYPES):
        return False
    if max(geometry.grid) > LARGEST_GRID:
        return False
    inputs = layer.in_channels * math.prod(geometry.stride)
    enough = inputs * layer.out_channels / (CHANNELS_PER_IMAGE * (inputs + layer.out_channels))
    # A convolution in half precision takes half the time, and wide layers' products need more images to be faster.
    return images.shape[0] >= max(1, 2 * enough if autocast else min(ENOUGH_IMAGES, enough))


def filter_by_fft(layer: Preconditioned, images: Tensor, geometry: Geometry, spectrum: Tensor, pool: int) -> Tensor:
    """Return the output by a convolution, then the exact filter through the Fourier domain.

    >>> from gan_convnorm.layers import ConvNorm1d
    >>> layer, images = ConvNorm1d(3, 4, 3), torch.rand(2, 3, 8)
    >>> geometry = layer.respond(images)[1]
    >>> output = filter_by_fft(layer, images, geometry, layer.power_spectrum(geometry.grid), 1)
    >>> torch.allclose(output, layer(images), atol=1e-4)
    True
    """
    response = full_response(layer, images, geometry)
    return pooled(precondition(layer, response, spectrum, None, geometry), pool)


def filter_by_taps(layer: Preconditioned, images: Tensor, geometry: Geometry, spectrum: Tensor, pool: int) -> Tensor:
    """Return the output by a convolution, then the filter cut to few taps; exactly if no cut is certified.

    >>> from gan_convnorm.layers import ConvNorm1d
    >>> layer, images = ConvNorm1d(1, 1, 3, bias=False, tolerance=0.1), torch.ones(1, 1, 6)
    >>> layer.weight.data = torch.tensor([[[0.0, 1.0, 0.2]]])
    >>> geometry = layer.respond(images)[1]
    >>> for method in filter_by_taps, filter_by_fft:
    ...     method(layer, images, geometry, layer.power_spectrum(geometry.grid), 1).detach()
    tensor([[[0.9401, 0.9401, 0.9401, 0.9598]]])
    tensor([[[0.9877, 1.0020, 0.9992, 1.0046]]])
    """
    taps = layer.truncate(spectrum, geometry.grid)
    if taps is None:
        exact = convolve_by_matmul if matmul_pays(layer, images, geometry) else filter_by_fft
        return exact(layer, images, geometry, spectrum, pool)
    response = full_response(layer, images, geometry)
    return pooled(precondition(layer, response, spectrum, taps, geometry), pool)


def convolve_by_matmul(
    layer: Preconditioned, images: Tensor, geometry: Geometry, spectrum: Tensor, pool: int
) -> Tensor:
    """Return the output by one matrix product a frequency: convolution and filter together.

    Under autocast the products are float32 and the output alone is rounded: a convolution in half precision and
    transforms in float32 take longer.

    >>> from gan_convnorm.layers import ConvNorm1d
    >>> layer, images = ConvNorm1d(3, 4, 3), torch.rand(2, 3, 8)
    >>> geometry = layer.respond(images)[1]
    >>> spectrum = layer.power_spectrum(geometry.grid)
    >>> output = convolve_by_matmul(layer, images, geometry, spectrum, 1)
    >>> torch.allclose(output, filter_by_fft(layer, images, geometry, spectrum, 1), atol=1e-4)
    True
    """
    if pool > 1:
        # A box and a crop of every pool-th pixel; a layer's own stride would be between the two.
        if any(step > 1 for _, _, step in geometry.crop):
            return pooled(convolve_by_matmul(layer, images, geometry, spectrum, 1), pool)
        crop = tuple((first, count // pool, pool) for first, count, _ in geometry.crop)
    else:
        crop = geometry.crop
    memory_format = memory_format_of(images, layer.weight)
    dtype = output_dtype(images)
    weight, padding, dilation = layer.weight, list(geometry.padding), list(layer.dilation)
    if any(step > 1 for step in geometry.stride):
        images, weight, padding = polyphase(images, weight, geometry.stride, padding, dilation)
        dilation = [1] * len(padding)
    waves = tap_waves(weight.shape[2:], geometry.grid, dilation, padding, pool, weight)
    transfer = layer.transfer(spectrum, geometry.grid)
    output = convolve_in_fourier(images, weight, transfer, layer.bias, waves, geometry.grid, crop)
    return output.to(dtype, memory_format=memory_format)


def full_response(layer: Preconditioned, images: Tensor, geometry: Geometry) -> Tensor:
    """Return sum_j a_kj (*) x_j on the whole grid, shape (B, C_out, *geometry.size), for padded images.

    >>> from gan_convnorm.layers import ConvNorm1d
    >>> layer, images = ConvNorm1d(1, 1, 3, padding=1), torch.ones(1, 1, 1)
    >>> layer.weight.data = torch.tensor([[[1.0, 2.0, 3.0]]])
    >>> full_response(layer, images, layer.respond(images)[1]).detach()
    tensor([[[3., 2., 1.]]])
    """
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
    return CONVOLVE[images.dim() - 2](images, layer.weight, **layout, groups=layer.groups)


def precondition(
    layer: Preconditioned, response: Tensor, spectrum: Tensor, truncated: Truncated | None, geometry: Geometry
) -> Tensor:
    """Return the output from the response: by few taps if given, else by transforms.

    >>> from gan_convnorm.layers import ConvNorm1d
    >>> layer, images = ConvNorm1d(3, 4, 3), torch.rand(2, 3, 8)
    >>> response, geometry = layer.respond(images)
    >>> output = precondition(layer, response, layer.power_spectrum(geometry.grid), None, geometry)
    >>> torch.allclose(output, layer(images), atol=1e-4)
    True
    """
    with autocast_off(response.device):
        if truncated is None:
            return filter_exactly(response, layer.transfer(spectrum, geometry.grid), layer.bias, geometry)
        taps, reach = layer.with_affine(truncated.taps)
        bias = None if layer.bias is None else layer.bias.to(response.dtype)
        wrap = layer.options.boundary == "circular"
        output = filter_truncated(response, taps.to(response.dtype), reach, bias, geometry, wrap=wrap)
        return output.contiguous(memory_format=memory_format_of(response))


def filter_exactly(response: Tensor, transfer: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Return z_k = F^-1[T_k] (*) y_k on the geometry's grid, cropped, plus the bias, in the response's dtype.

    >>> geometry = Geometry(padding=(1,), stride=(1,), size=(4,), grid=(4,), crop=((1, 2, 1),), circular=False)
    >>> filter_exactly(torch.ones(1, 1, 4), torch.full((1, 3), 2.0), None, geometry).round()
    tensor([[[2., 2.]]])
    """
    if geometry.grid != geometry.size:
        padding = [p for n, m in zip(geometry.size, geometry.grid, strict=True) for p in (m - n, 0)]
        response = nn.functional.pad(response, padding[::-1])
    exact, bias = exact_dtype(response), None if bias is None else exact_dtype(bias)
    if traced():
        return filter_reference(exact, transfer, bias, geometry.crop, around=geometry.circular).to(response.dtype)
    return filter_response(exact, transfer, bias, geometry.crop).to(response.dtype)


def pooled(output: Tensor, side: int) -> Tensor:
    """Return the averages of an output over boxes of a side; the output itself for 1.

    >>> pooled(torch.arange(4.0).view(1, 1, 4), 2)
    tensor([[[0.5000, 2.5000]]])
    """
    if side == 1:
        return output
    average = (nn.functional.avg_pool1d, nn.functional.avg_pool2d, nn.functional.avg_pool3d)
    return average[output.dim() - 3](output, side)
