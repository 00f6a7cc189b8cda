"""A convolution and one filter per channel on a circular grid at once, frequency by frequency, then a crop.

Complex tensors are kept as their real and imaginary parts: products of real matrices take the parts as they lie in
memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gan_convnorm.fourier.execution import cached, is_batched, memory_format_of
from gan_convnorm.fourier.gradients import Context, bias_gradient, differentiable_gradients
from gan_convnorm.fourier.grid_filter import Crop, add_bias, read
from gan_convnorm.fourier.matrix_transform import half_grid, memory, pixels_to_spectra, spectra_to_pixels
from gan_convnorm.fourier.real_transform import half_grid_weights

__all__ = ["convolve_in_fourier"]

#: numbers of the kernels' spectra that are computed at once, so that they stay in the cache until they are used
BLOCK = 2**19
#: frequencies of a block at least: each block reads the whole weight
FREQUENCIES = 4


def convolve_in_fourier(
    image: Tensor,
    weight: Tensor,
    transfer: Tensor,
    bias: Tensor | None,
    waves: Tensor,
    grid: Sequence[int],
    crop: Crop,
) -> Tensor:
    """Return the convolution, filtered per channel on a circular grid, cropped, plus the bias.

    At every frequency it is a matrix product of C_in by C_out, with kernels that have the filter in them already. That
    takes fewer operations than the convolution if the kernels' spectra are few beside the images'.

    Args:
        image: shape (B, C_in, *size), size at most the grid; cast to the weight's dtype, and kept for backward as is.
        weight: shape (C_out, C_in, *kernel_size), float32 or float64.
        transfer: the filter T_k, shape (C_out, *half grid) in the layout of `torch.fft.rfftn`, real or complex.
        bias: shape (C_out), or None.
        waves: `tap_waves` of the kernel.
        grid: size of the circular grid.
        crop: the pixels of the grid that are wanted.

    Returns:
        Shape (B, C_out, *counts of the crop), in the weight's dtype, channels last if image or weight are.

    >>> from gan_convnorm.fourier.tap_waves import tap_waves
    >>> image, weight = torch.arange(4.0).view(1, 1, 4), torch.tensor([[[1.0, 10.0]]])
    >>> waves = tap_waves([2], [4], [1], [0], 1, image)
    >>> convolve_in_fourier(image, weight, torch.ones(1, 3), None, waves, [4], [(0, 3, 1)]).round()
    tensor([[[10., 21., 32.]]])
    """
    return _ConvolveInFourier.apply(image, weight, transfer, bias, waves, tuple(grid), tuple(crop))


def _convolve_reference(
    image: Tensor,
    weight: Tensor,
    transfer: Tensor,
    bias: Tensor | None,
    waves: Tensor,
    grid: Sequence[int],
    crop: Crop,
) -> Tensor:
    """Return `convolve_in_fourier` in plain operations."""
    axes = tuple(range(-len(grid), 0))
    padding = [p for n, m in zip(image.shape[2:], grid, strict=True) for p in (m - n, 0)]
    spectra = torch.fft.rfftn(torch.nn.functional.pad(image.to(weight.dtype), padding[::-1]), dim=axes).flatten(2)
    complex_waves = torch.complex(*waves)
    kernels = torch.einsum("ft,kjt->kjf", complex_waves, weight.flatten(2).to(complex_waves.dtype))
    filtered = torch.einsum("bjf,kjf->bkf", spectra, kernels * transfer.flatten(1)[:, None])
    return add_bias(read(torch.fft.irfftn(filtered.unflatten(2, half_grid(grid)), s=tuple(grid), dim=axes), crop), bias)


class _ConvolveInFourier(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context,
        image: Tensor,
        weight: Tensor,
        transfer: Tensor,
        bias: Tensor | None,
        waves: Tensor,
        grid: tuple[int, ...],
        crop: Crop,
    ) -> Tensor:
        # Backward needs the images' spectra for the kernels' gradient, and computes the kernels' spectra again.
        kept = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        pixels = image.to(weight.dtype)
        spectra = _spectra(pixels, grid, [(0, n, 1) for n in image.shape[2:]], None if kept else "images")
        filtered = memory.take("filtered", spectra, (*spectra.shape[:3], weight.shape[0]))
        for part, _, kernels in _kernel_spectra(weight, waves, transfer):
            _multiply(spectra[:, part], kernels.mT, filtered[:, part])
        shape = (image.shape[0], weight.shape[0], *(count for _, count, _ in crop))
        memory_format = memory_format_of(image, weight)
        output = torch.empty(shape, dtype=weight.dtype, device=image.device, memory_format=memory_format)
        spectra_to_pixels(filtered, grid, crop, output)
        if bias is not None:
            output += bias.view(-1, *[1] * len(crop))
        ctx.save_for_backward(image, weight, transfer, bias, waves, spectra if kept else None)
        ctx.grid, ctx.crop = grid, crop
        return output

    @staticmethod
    def backward(ctx: Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, weight, transfer, bias, waves, spectra = ctx.saved_tensors
        grid, crop = ctx.grid, ctx.crop
        if torch.is_grad_enabled() or is_batched(gradient):
            inputs = (image, weight, transfer, bias)
            found = differentiable_gradients(_convolve_reference, inputs, (waves, grid, crop), gradient)
            return *found, None, None, None
        needs_image, needs_weight, needs_transfer = ctx.needs_input_grad[:3]
        incoming = _spectra(gradient, grid, crop, "incoming")
        shape = (*incoming.shape[:3], weight.shape[1])
        to_spectra = memory.take("filtered", incoming, shape) if needs_image else None
        weights = _counts(grid, weight.dtype, weight.device)
        # Taps as rows: a product with nine rows is seven times as fast as one with nine columns.
        to_taps = weight.new_zeros(waves.shape[2], weight.shape[:2].numel()) if needs_weight else None
        to_transfer = torch.empty_like(transfer.flatten(1).mT) if needs_transfer else None
        for part, plain, kernels in _kernel_spectra(weight, waves, transfer):
            if to_spectra is not None:
                _multiply(incoming[:, part], kernels, to_spectra[:, part], conjugate=True)
            if spectra is None:
                continue
            # What has served is overwritten: the filtered kernels by their gradient, and then the plain ones by theirs.
            _multiply(incoming[:, part].mT, spectra[:, part], kernels, conjugate=True)
            if to_transfer is not None:
                _filter_gradient(kernels, plain, to_transfer[part])
            if to_taps is not None:
                _filter(kernels, transfer, part, plain, conjugate=True)
                to_taps.addmm_((waves[:, part] * weights[part]).flatten(0, 1).mT, plain.view(-1, to_taps.shape[1]))
        to_image = None
        if to_spectra is not None:
            whole = [(0, n, 1) for n in image.shape[2:]]
            to_image = spectra_to_pixels(to_spectra, grid, whole, torch.empty_like(image, dtype=weight.dtype))
            to_image = to_image.to(image.dtype)
        to_weight = None if to_taps is None else to_taps.mT.reshape(weight.shape)
        if to_transfer is not None:
            to_transfer = (to_transfer * weights).mT.reshape(transfer.shape)
        to_bias = bias_gradient(ctx.needs_input_grad[3], gradient)
        return to_image, to_weight, to_transfer, to_bias, None, None, None


@cached
def _counts(grid: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return `half_grid_weights` of every frequency, shape (frequencies, 1)."""
    of_columns = half_grid_weights(grid, torch.zeros((), dtype=dtype, device=device))
    return of_columns.repeat(math.prod(half_grid(grid)[:-1])).unsqueeze(1)


def _spectra(pixels: Tensor, grid: Sequence[int], crop: Crop, name: str | None) -> Tensor:
    """Return the spectra of pixels, under a name in `memory` or, without one, in memory of their own."""
    shape = (2, math.prod(half_grid(grid)), *pixels.shape[:2])
    return pixels_to_spectra(pixels, grid, crop, memory.take(name, pixels, shape) if name else pixels.new_empty(shape))


def _kernel_spectra(weight: Tensor, waves: Tensor, transfer: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield blocks of frequencies and the kernels' spectra there: all at once may not fit.

    Yields:
        A slice of the frequencies; the spectra without and with the filter, both of shape
        (2, frequencies, C_out, C_in), to be overwritten at will.
    """
    taps = weight.flatten(2).flatten(0, 1)
    size = max(FREQUENCIES, BLOCK // max(1, 2 * len(taps)))
    for first in range(0, waves.shape[1], size):
        part = slice(first, first + size)
        own = waves[:, part].flatten(0, 1)
        kernels = memory.take("kernels", weight, (len(own), len(taps)))
        plain = torch.mm(own, taps.mT, out=kernels).view(2, -1, *weight.shape[:2])
        yield part, plain, _filter(plain, transfer, part, memory.take("filtered kernels", plain, plain.shape))


def _multiply(left: Tensor, right: Tensor, out: Tensor, *, conjugate: bool = False) -> None:
    """Write the complex matrix products left @ right, or left @ conj(right), of (2, batch, rows, columns)."""
    sign = -1 if conjugate else 1
    torch.bmm(left[0], right[0], out=out[0]).baddbmm_(left[1], right[1], alpha=-sign)
    torch.bmm(left[1], right[0], out=out[1]).baddbmm_(left[0], right[1], alpha=sign)


def _filter(kernels: Tensor, transfer: Tensor, part: slice, out: Tensor, *, conjugate: bool = False) -> Tensor:
    """Return in `out` spectra (2, frequencies, C_out, C_in) times the filter (C_out, *half grid), or its conjugate."""
    filters = transfer.flatten(1).mT[part].unsqueeze(2)
    torch.mul(kernels, filters.real, out=out)
    if transfer.is_complex():
        sign = -1 if conjugate else 1
        out[0].addcmul_(kernels[1], filters.imag, value=-sign)
        out[1].addcmul_(kernels[0], filters.imag, value=sign)
    return out


def _filter_gradient(to_kernels: Tensor, kernels: Tensor, out: Tensor) -> None:
    """Write the sum over C_in of to_kernels times conj(kernels), shape (frequencies, C_out); real for a real filter."""
    scratch = memory.take("scratch", kernels, kernels.shape)
    real = torch.mul(to_kernels, kernels, out=scratch).sum((0, 3))
    if not out.is_complex():
        out.copy_(real)
        return
    torch.mul(to_kernels[1], kernels[0], out=scratch[0]).addcmul_(to_kernels[0], kernels[1], value=-1)
    torch.complex(real, scratch[0].sum(2), out=out)
