"""One filter per channel on a circular grid, then a crop: the exact preconditioner, applied to a response.

It is one autograd node that keeps its inputs and nothing else. `filter_reference` computes the same by plain
operations, for compilers and for the second derivative.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_convnorm.fourier.circular_grid import (
    Context,
    Crop,
    add_bias,
    as_real_as,
    bias_gradient,
    complex_dtype,
    differentiable_gradients,
    embed,
    empty_output,
    half_grid_weights,
    parts,
    read,
    spatial,
    to_pixels,
    to_spectrum,
    write,
)

__all__ = ["filter_reference", "filter_response"]


def filter_response(response: Tensor, transfer: Tensor, bias: Tensor | None, crop: Crop) -> Tensor:
    """Return z_k = F^-1[T_k] (*) y_k on the circular grid of y, cropped, plus the bias.

    Args:
        response: y, shape (B, C, *grid), float32 or float64.
        transfer: T, shape (C, *half grid) in the layout of `torch.fft.rfftn`, real or complex.
        bias: shape (C), or None.
        crop: the pixels of the grid that are wanted.

    Returns:
        Shape (B, C, *counts of the crop), in the memory format of `response`.

    >>> filter_response(torch.ones(1, 1, 4), torch.full((1, 3), 2.0), None, [(0, 4, 1)]).round()
    tensor([[[2., 2., 2., 2.]]])
    """
    return _FilterResponse.apply(response, transfer, bias, crop)


def filter_reference(
    response: Tensor, transfer: Tensor, bias: Tensor | None, crop: Crop, *, around: bool = True
) -> Tensor:
    """Return `filter_response` in plain operations; `around` as in `read`."""
    grid = response.shape[2:]
    axes = spatial(len(grid))
    return add_bias(read(to_pixels(to_spectrum(response, axes) * transfer, grid, axes), crop, around=around), bias)


class _FilterResponse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, response: Tensor, transfer: Tensor, bias: Tensor | None, crop: Crop) -> Tensor:
        ctx.save_for_backward(response, transfer, bias)
        ctx.crop = crop
        grid = response.shape[2:]
        axes = spatial(len(grid))
        output = empty_output(response, crop)
        for part in parts(response):
            spectrum = torch.fft.rfftn(response[part], dim=axes).mul_(transfer)
            write(output[part], torch.fft.irfftn(spectrum, s=grid, dim=axes), crop, bias)
        return output

    @staticmethod
    def backward(ctx: Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        response, transfer, bias = ctx.saved_tensors
        if torch.is_grad_enabled():
            return *differentiable_gradients(filter_reference, (response, transfer, bias), (ctx.crop,), gradient), None
        grid = response.shape[2:]
        axes = spatial(len(grid))
        to_response = torch.empty_like(response) if ctx.needs_input_grad[0] else None
        cross = transfer.new_zeros(transfer.shape, dtype=complex_dtype(response)) if ctx.needs_input_grad[1] else None
        for part in parts(response):
            spectrum = torch.fft.rfftn(embed(gradient[part], grid, ctx.crop), dim=axes)
            if cross is not None:
                cross += torch.fft.rfftn(response[part], dim=axes).conj().mul_(spectrum).sum(0)
            if to_response is not None:
                to_response[part] = torch.fft.irfftn(spectrum.mul_(transfer.conj()), s=grid, dim=axes)
        if cross is not None:
            cross = as_real_as(cross * half_grid_weights(grid, response), transfer)
        return to_response, cross, bias_gradient(ctx.needs_input_grad[2], gradient), None
