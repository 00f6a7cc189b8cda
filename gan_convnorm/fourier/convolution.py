"""A convolution and one filter per channel on a circular grid at once, frequency by frequency, then a crop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gan_convnorm.fourier.execution import memory_format_of, part_elements, parts
from gan_convnorm.fourier.gradients import Context, bias_gradient, differentiable_gradients
from gan_convnorm.fourier.grid_filter import Crop, add_bias, read
from gan_convnorm.fourier.interleaved import every, from_frequencies, read_pixels, starts, to_frequencies, write_spectra
from gan_convnorm.fourier.matrix_transform import half_grid, memory
from gan_convnorm.fourier.real_transform import half_grid_weights

__all__ = ["convolve_in_fourier", "convolve_reference"]


def convolve_in_fourier(
    image: Tensor,
    weight: Tensor,
    responses: Tensor,
    bias: Tensor | None,
    grid: Sequence[int],
    fold: Sequence[int],
    crop: Crop,
) -> Tensor:
    """Return the convolution, filtered per channel on a circular grid, cropped, plus the bias.

    At every frequency it is a matrix product of C_in by C_out. That takes fewer operations than the convolution if the
    kernels' spectra are no larger than the images'. Only one of every `fold` pixels is computed: the interleaved parts
    of an image are then images on the folded grid, and the output's transforms are smaller by the same factor.

    Args:
        image: shape (B, C_in, *size), size at most the grid times the fold; float32 or float64.
        weight: shape (C_out, C_in, *kernel_size).
        responses: the contribution of each tap to the output's spectrum, from `tap_responses`, shape
            (C_out, frequencies, interleaved parts, taps).
        bias: shape (C_out), or None.
        grid: size of the folded grid.
        fold: pixels of the image to one of the grid, a number per dimension.
        crop: the pixels of the folded grid that are wanted.

    Returns:
        Shape (B, C_out, *counts of the crop), channels last if image or weight are.

    >>> from gan_convnorm.fourier.tap_responses import tap_responses
    >>> responses = tap_responses(torch.ones(1, 3), [2], [4], [1], [0], [1])  # no filter
    >>> weight = torch.tensor([[[1.0, 10.0]]])
    >>> convolve_in_fourier(torch.arange(4.0).view(1, 1, 4), weight, responses, None, [4], [1], [(0, 3, 1)]).round()
    tensor([[[10., 21., 32.]]])
    """
    return _ConvolveInFourier.apply(image, weight, responses, bias, tuple(grid), tuple(fold), crop)


def convolve_reference(
    image: Tensor,
    weight: Tensor,
    responses: Tensor,
    bias: Tensor | None,
    grid: Sequence[int],
    fold: Sequence[int],
    crop: Crop,
) -> Tensor:
    """Return `convolve_in_fourier` in plain operations."""
    axes = tuple(range(-len(grid), 0))
    padding = [p for n, m, s in zip(image.shape[2:], grid, fold, strict=True) for p in (m * s - n, 0)]
    padded = torch.nn.functional.pad(image, padding[::-1])
    interleaved = torch.stack([padded[:, *every(start, fold)] for start in starts(fold)], dim=1)
    spectra = torch.fft.rfftn(interleaved, dim=axes).flatten(3)
    kernels = torch.einsum("kfpt,kjt->kfpj", responses, weight.flatten(2).to(responses.dtype))
    filtered = torch.einsum("bpjf,kfpj->bkf", spectra, kernels).unflatten(2, half_grid(grid))
    return add_bias(read(torch.fft.irfftn(filtered, s=tuple(grid), dim=axes), crop), bias)


class _ConvolveInFourier(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context,
        image: Tensor,
        weight: Tensor,
        responses: Tensor,
        bias: Tensor | None,
        grid: tuple[int, ...],
        fold: tuple[int, ...],
        crop: Crop,
    ) -> Tensor:
        ctx.save_for_backward(image, weight, responses, bias)
        ctx.grid, ctx.fold, ctx.crop = grid, fold, crop
        spectra = to_frequencies(image, grid, fold)
        filtered = memory.take("filtered", spectra, (*spectra.shape[:2], weight.shape[0]))
        for part, kernels in _kernel_spectra(weight, responses):
            torch.bmm(spectra[part], kernels.mT, out=filtered[part])
        shape = (image.shape[0], weight.shape[0], *(count for _, count, _ in crop))
        memory_format = memory_format_of(image, weight)
        output = torch.empty(shape, dtype=image.dtype, device=image.device, memory_format=memory_format)
        for rows in parts(filtered, dim=1):
            read_pixels(filtered[:, rows].unsqueeze(2), grid, crop, output[rows].movedim(1, -1))
        if bias is not None:
            output += bias.view(-1, *[1] * len(crop))
        return output

    @staticmethod
    def backward(ctx: Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, weight, responses, bias = ctx.saved_tensors
        grid, fold, crop = ctx.grid, ctx.fold, ctx.crop
        if torch.is_grad_enabled():
            inputs = (image, weight, responses, bias)
            found = differentiable_gradients(convolve_reference, inputs, (grid, fold, crop), gradient)
            return *found, None, None, None
        needs_image, needs_weight, needs_responses = ctx.needs_input_grad[:3]
        incoming = memory.take("filtered", responses, (responses.shape[1], *gradient.shape[:2]))
        for rows in parts(gradient):
            write_spectra(incoming[:, rows].unsqueeze(2), gradient[rows].movedim(1, -1), grid, crop)
        spectra = to_frequencies(image, grid, fold, conjugate=True)
        weights = half_grid_weights(grid, image).repeat(responses.shape[1] // (grid[-1] // 2 + 1))
        conjugate = responses.conj().resolve_conj()
        taps = weight.flatten(2).to(responses.dtype)
        to_taps = torch.zeros_like(taps.mT) if needs_weight else None
        to_responses = torch.empty_like(responses) if needs_responses else None
        for part, kernels in _kernel_spectra(weight, conjugate):
            if needs_weight or needs_responses:
                # (frequencies, C_out, parts, C_in): of conj(a) b, b's gradient.
                to_kernels = torch.bmm(incoming[part].mT, spectra[part]).mul_(weights[part, None, None])
                to_kernels = to_kernels.transpose(0, 1).reshape(weight.shape[0], -1, weight.shape[1])
                if to_responses is not None:
                    to_responses[:, part] = torch.bmm(to_kernels, taps).view(to_responses[:, part].shape)
                if to_taps is not None:
                    to_taps.baddbmm_(conjugate[:, part].flatten(1, 2).mT, to_kernels)
            if needs_image:
                # The image's spectrum has served: its gradient takes its place.
                torch.bmm(incoming[part], kernels, out=spectra[part])
        to_image = from_frequencies(image, spectra, grid, fold) if needs_image else None
        to_weight = None if to_taps is None else to_taps.real.mT.reshape(weight.shape)
        to_bias = bias_gradient(ctx.needs_input_grad[3], gradient)
        return to_image, to_weight, to_responses, to_bias, None, None, None


def _kernel_spectra(weight: Tensor, responses: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield blocks of frequencies and the filtered kernels' spectra there: all at once would not fit.

    Yields:
        A slice of the frequencies, and the spectra of shape (frequencies, C_out, parts * C_in).
    """
    taps = weight.flatten(2).mT.to(responses.dtype)
    _, frequencies, interleaved, _ = responses.shape
    size = max(1, part_elements(weight) // (4 * interleaved * weight.shape[0] * weight.shape[1]))
    for first in range(0, frequencies, size):
        part = slice(first, first + size)
        own = responses[:, part].flatten(1, 2)
        kernels = memory.take("kernels", own, (*own.shape[:2], taps.shape[2]))
        torch.bmm(own, taps, out=kernels)
        yield part, kernels.view(weight.shape[0], -1, interleaved * weight.shape[1]).transpose(0, 1)
