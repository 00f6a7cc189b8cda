"""A convolution and one filter per channel on a circular grid at once, frequency by frequency, then a crop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gan_convnorm.layers.circular_grid import (
    Crop,
    add_bias,
    as_real_as,
    bias_gradient,
    complex_dtype,
    differentiable_gradients,
    embed,
    half_grid_weights,
    part_elements,
    parts,
    read,
    spatial,
    write,
)

__all__ = ["convolve_in_fourier", "convolve_reference", "tap_phases"]


def convolve_in_fourier(
    image: Tensor,
    weight: Tensor,
    transfer: Tensor,
    bias: Tensor | None,
    phases: Tensor,
    grid: Sequence[int],
    crop: Crop,
) -> Tensor:
    """The convolution with every kernel and the filter T_k on a circular grid, cropped, plus the bias.

    A matrix product of C_in by C_out at every frequency: fewer operations than the convolution's own where the
    kernel's spectra are no larger than the images'.

    Args:
        image: shape (B, C_in, *size), size at most the grid's; float32 or float64.
        weight: shape (C_out, C_in, *kernel_size).
        transfer: as in `filter_response`.
        bias: shape (C_out), or None.
        phases: exp(i w d (t - offset)) of every frequency and tap, shape (frequencies, taps), from `tap_phases`.
        grid: size of the circular grid.
        crop: the pixels of the grid that are wanted.
    """
    return _ConvolveInFourier.apply(image, weight, transfer, bias, phases, tuple(grid), crop)


def tap_phases(
    kernel_size: Sequence[int], grid: Sequence[int], dilation: Sequence[int], offset: Sequence[int], like: Tensor
) -> Tensor:
    """exp(2 pi i n (d t - offset) / N): what tap t of a correlation adds to the spectrum at frequency n.

    Returns:
        Complex, shape (frequencies of the half grid, taps of the kernel), both in row-major order.
    """
    phases = torch.ones(1, 1, dtype=torch.complex128, device=like.device)
    for axis, (k, n, d, o) in enumerate(zip(kernel_size, grid, dilation, offset, strict=True)):
        frequency = torch.arange(n // 2 + 1 if axis == len(grid) - 1 else n, device=like.device)
        shift = torch.arange(k, device=like.device) * d - o
        angle = (2 * math.pi / n) * (frequency[:, None] * shift[None, :] % n).double()
        phases = torch.kron(phases, torch.complex(angle.cos(), angle.sin()))
    return phases.to(complex_dtype(like))


def convolve_reference(
    image: Tensor,
    weight: Tensor,
    transfer: Tensor,
    bias: Tensor | None,
    phases: Tensor,
    grid: Sequence[int],
    crop: Crop,
) -> Tensor:
    """`convolve_in_fourier` in plain operations."""
    axes = spatial(len(grid))
    spectra = torch.fft.rfftn(image, s=tuple(grid), dim=axes).flatten(2)
    kernels = torch.einsum("ft,kjt->kjf", phases, weight.flatten(2).to(phases.dtype)) * transfer.flatten(1)[:, None]
    product = torch.einsum("bjf,kjf->bkf", spectra, kernels).unflatten(2, transfer.shape[1:])
    return add_bias(read(torch.fft.irfftn(product, s=tuple(grid), dim=axes), crop), bias)


class _ConvolveInFourier(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        weight: Tensor,
        transfer: Tensor,
        bias: Tensor | None,
        phases: Tensor,
        grid: tuple[int, ...],
        crop: Crop,
    ) -> Tensor:
        ctx.save_for_backward(image, weight, transfer, bias, phases)
        ctx.grid, ctx.crop = grid, crop
        spectra = _to_frequencies(image, grid)
        product = spectra.new_empty(spectra.shape[0], image.shape[0], weight.shape[0])
        for part, kernels in _kernel_spectra(weight, phases):
            kernels.mul_(transfer.flatten(1).T[part, None])
            torch.bmm(spectra[part], kernels, out=product[part])
        output = image.new_empty(image.shape[0], weight.shape[0], *(count for _, count, _ in crop))
        for part in parts(product, dim=1):
            write(output[part], _from_frequencies(product[:, part], grid), crop, bias)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, weight, transfer, bias, phases = ctx.saved_tensors
        grid, crop = ctx.grid, ctx.crop
        if torch.is_grad_enabled():
            inputs = (image, weight, transfer, bias)
            found = differentiable_gradients(convolve_reference, inputs, (phases, grid, crop), gradient)
            return *found, None, None, None
        spectra = _to_frequencies(image, grid)
        incoming = _to_frequencies(gradient, grid, crop)
        response = transfer.flatten(1).T
        weights = half_grid_weights(grid, image).expand(transfer.shape[1:]).flatten()
        needs_image, needs_weight, needs_transfer = ctx.needs_input_grad[:3]
        cross = response.new_zeros(response.shape, dtype=phases.dtype) if needs_transfer else None
        to_taps = weight.new_zeros(phases.shape[1], weight.shape[1] * weight.shape[0]) if needs_weight else None
        for part, kernels in _kernel_spectra(weight, phases):
            if needs_weight or needs_transfer:
                to_kernels = torch.bmm(spectra[part].mH, incoming[part])
                if cross is not None:
                    cross[part] = torch.linalg.vecdot(kernels, to_kernels, dim=1)
                if to_taps is not None:
                    to_kernels.mul_(response[part].conj()[:, None] * weights[part, None, None])
                    to_taps += torch.mm(phases[part].mH, to_kernels.flatten(1)).real
            if needs_image:
                # The image's spectrum has served: its gradient takes its place.
                torch.bmm(incoming[part].mul_(response[part].conj()[:, None]), kernels.mH, out=spectra[part])
        del incoming
        to_image = None
        if needs_image:
            to_image = torch.empty_like(image)
            inside = [(0, n, 1) for n in image.shape[2:]]
            for rows in parts(spectra, dim=1):
                write(to_image[rows], _from_frequencies(spectra[:, rows], grid), inside, None)
        to_weight = None
        if to_taps is not None:
            to_weight = to_taps.view(-1, weight.shape[1], weight.shape[0]).permute(2, 1, 0).reshape(weight.shape)
        to_transfer = None
        if cross is not None:
            to_transfer = as_real_as((cross * weights[:, None]).T.reshape(transfer.shape), transfer)
        return to_image, to_weight, to_transfer, bias_gradient(ctx.needs_input_grad[3], gradient), None, None, None


def _kernel_spectra(weight: Tensor, phases: Tensor) -> Any:
    """Blocks of frequencies and the kernels' spectra there, (frequencies, C_in, C_out): all at once would not fit."""
    taps = weight.flatten(2).permute(2, 1, 0).reshape(phases.shape[1], -1).to(phases.dtype)
    size = max(1, part_elements(weight) // (4 * taps.shape[1]))
    for first in range(0, phases.shape[0], size):
        part = slice(first, first + size)
        yield part, (phases[part] @ taps).view(-1, weight.shape[1], weight.shape[0])


def _to_frequencies(image: Tensor, grid: Sequence[int], crop: Crop | None = None) -> Tensor:
    """Spectra of zero-padded images, (frequencies, B, C): matrices over batch and channel."""
    axes = spatial(len(grid))
    count = math.prod(grid[:-1]) * (grid[-1] // 2 + 1)
    spectra = image.new_empty(count, *image.shape[:2], dtype=complex_dtype(image))
    for part in parts(image):
        embedded = image[part] if crop is None else embed(image[part], grid, crop)
        spectra[:, part] = torch.fft.rfftn(embedded, s=tuple(grid), dim=axes).flatten(2).permute(2, 0, 1)
    return spectra


def _from_frequencies(spectra: Tensor, grid: Sequence[int]) -> Tensor:
    half = (*grid[:-1], grid[-1] // 2 + 1)
    return torch.fft.irfftn(
        spectra.permute(1, 2, 0).contiguous().unflatten(2, half), s=tuple(grid), dim=spatial(len(grid))
    )
