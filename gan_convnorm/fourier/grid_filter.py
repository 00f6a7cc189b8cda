"""One filter per channel on a circular grid, then a crop: the exact preconditioner, applied to a response.

It is one autograd node that keeps its inputs and nothing else. `filter_reference` computes the same by plain
operations, for compilers and for the second derivative.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_convnorm.fourier.execution import complex_dtype, is_batched, memory_format_of, parts
from gan_convnorm.fourier.gradients import Context, as_real_as, bias_gradient, differentiable_gradients
from gan_convnorm.fourier.real_transform import half_grid_weights, to_pixels, to_spectrum

__all__ = ["Crop", "add_bias", "embed", "filter_reference", "filter_response", "read"]

#: (first, count, step) of the pixels that are read of a circular grid, one per dimension.
Crop = Sequence[tuple[int, int, int]]


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
    """Return `filter_response` in plain operations; `around` as in `read`.

    >>> filter_reference(torch.ones(1, 1, 4), torch.full((1, 3), 2.0), None, [(1, 2, 1)]).round()
    tensor([[[2., 2.]]])
    """
    grid = response.shape[2:]
    axes = tuple(range(2, response.dim()))
    return add_bias(read(to_pixels(to_spectrum(response, axes) * transfer, grid, axes), crop, around=around), bias)


class _FilterResponse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, response: Tensor, transfer: Tensor, bias: Tensor | None, crop: Crop) -> Tensor:
        ctx.save_for_backward(response, transfer, bias)
        ctx.crop = crop
        grid = response.shape[2:]
        axes = tuple(range(2, response.dim()))
        output = _empty_output(response, crop)
        for part in parts(response):
            spectrum = torch.fft.rfftn(response[part], dim=axes).mul_(transfer)
            _write(output[part], torch.fft.irfftn(spectrum, s=grid, dim=axes), crop, bias)
        return output

    @staticmethod
    def backward(ctx: Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        response, transfer, bias = ctx.saved_tensors
        if torch.is_grad_enabled() or is_batched(gradient):
            return *differentiable_gradients(filter_reference, (response, transfer, bias), (ctx.crop,), gradient), None
        grid = response.shape[2:]
        axes = tuple(range(2, response.dim()))
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


def read(filtered: Tensor, crop: Crop, *, around: bool = True) -> Tensor:
    """Return the pixels of a crop: a view, except where the crop goes around the grid.

    Args:
        filtered: shape (B, C, *grid).
        crop: the pixels.
        around: the crop may go around. If it is known not to, sizes that are symbols need not be compared.

    >>> read(torch.arange(6.0).view(1, 1, 6), [(-1, 3, 1)])
    tensor([[[5., 0., 1.]]])
    """
    for axis, (first, count, step) in enumerate(crop, start=2):
        size = filtered.shape[axis]
        symbolic = not around and step > 1 and isinstance(size, torch.SymInt)  # a slice would compare its end with it
        if symbolic or (around and _wraps(size, (first, count, step))):
            index = torch.arange(count, device=filtered.device) * step + first
            filtered = filtered.index_select(axis, index if symbolic else index % size)
        else:
            filtered = filtered[(slice(None),) * axis + (slice(first, first + (count - 1) * step + 1, step),)]
    return filtered


def embed(gradient: Tensor, grid: Sequence[int], crop: Crop) -> Tensor:
    """Return the pixels at their places on a grid of zeros: the transpose of `read`.

    >>> embed(torch.ones(1, 1, 2), [4], [(1, 2, 1)])
    tensor([[[0., 1., 1., 0.]]])
    """
    if not any(_wraps(n, pixels) for n, pixels in zip(grid, crop, strict=True)):
        embedded = gradient.new_zeros(*gradient.shape[:2], *grid)
        read(embedded, crop).copy_(gradient)
        return embedded
    for axis, (n, (first, count, step)) in enumerate(zip(grid, crop, strict=True), start=2):
        index = torch.arange(first, first + count * step, step, device=gradient.device) % n
        shape = (*gradient.shape[:axis], n, *gradient.shape[axis + 1 :])
        gradient = gradient.new_zeros(shape).index_add_(axis, index, gradient)
    return gradient


def add_bias(output: Tensor, bias: Tensor | None) -> Tensor:
    """Return the output plus the bias, dense in memory as torch's own layers return it.

    >>> add_bias(torch.zeros(1, 2, 1), torch.tensor([1.0, 2.0]))
    tensor([[[1.],
             [2.]]])
    """
    output = output.contiguous(memory_format=memory_format_of(output))
    return output if bias is None else output + bias.view(-1, *[1] * (output.dim() - 2))


def _write(output: Tensor, filtered: Tensor, crop: Crop, bias: Tensor | None) -> None:
    """Put the pixels of a crop, plus the bias, into the output."""
    output.copy_(read(filtered, crop))
    if bias is not None:
        output += bias.view(-1, *[1] * len(crop))


def _empty_output(response: Tensor, crop: Crop) -> Tensor:
    """Return memory for the pixels of a crop, in the memory format of the response."""
    shape = (*response.shape[:2], *(count for _, count, _ in crop))
    return torch.empty(shape, dtype=response.dtype, device=response.device, memory_format=memory_format_of(response))


def _wraps(size: int, pixels: tuple[int, int, int]) -> bool:
    """Return whether the pixels go around the grid, as those of circular padding do."""
    first, count, step = pixels
    return first < 0 or first + (count - 1) * step >= size
