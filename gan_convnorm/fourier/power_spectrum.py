"""Power spectrum of each output channel's kernels: from their summed autocorrelation, or from every kernel's DFT."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gan_convnorm.fourier.execution import cached, traced
from gan_convnorm.fourier.gradients import Context

__all__ = ["autocorrelation", "direct_power_spectrum", "place", "power_spectrum"]

#: numbers of a matrix that takes the place of a transform, at most
LARGEST_MATRIX = 2**20


def autocorrelation(weight: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return the autocorrelation of every output channel's kernels, summed over its input channels.

    R_k[t] = sum_j sum_s a_kj[s + t] a_kj[s], in units of one tap (dilation enters in `power_spectrum`).

    Args:
        weight: kernels, shape (C_out, C_in / groups, *kernel_size), any number of dimensions.
        dtype: of the sums and of the output; the weight's when not given. The weight itself is kept for backward as is.

    Returns:
        Shape (C_out, *(2 k - 1 for every k of kernel_size)), lag zero in the centre, symmetric about it.

    >>> autocorrelation(torch.tensor([[[1.0, 2.0]]]))
    tensor([[2., 5., 2.]])
    """
    lags = [2 * k - 1 for k in weight.shape[2:]]
    # One Gram product per channel holds every product of two taps, already summed over the input channels; what is
    # left is to add up those of equal lag.
    taps, dtype = weight.flatten(2), dtype or weight.dtype
    gram = taps.to(dtype).mT @ taps.to(dtype) if traced() else _Gram.apply(taps, dtype)
    lag = _lags(tuple(weight.shape[2:]), weight.device)
    return gram.new_zeros(weight.shape[0], math.prod(lags)).index_add(1, lag, gram.flatten(1)).unflatten(1, lags)


class _Gram(torch.autograd.Function):
    """A^T A with one product in backward. Plain operations take two, and add them."""

    @staticmethod
    def forward(ctx: Context, taps: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(taps)
        taps = taps.to(dtype)
        return taps.mT @ taps

    @staticmethod
    def backward(ctx: Context, gradient: Tensor) -> tuple[Tensor, None]:
        (taps,) = ctx.saved_tensors
        return (taps.to(gradient.dtype) @ (gradient + gradient.mT)).to(taps.dtype), None


def power_spectrum(
    correlation: Tensor, grid: Sequence[int], dilation: Sequence[int] | None = None, stride: Sequence[int] | None = None
) -> Tensor:
    """Return S_k(w) = sum_j |F a_kj (w)|^2 on the frequencies of a circular grid.

    By the Wiener-Khinchin theorem the power spectrum is the DFT of the autocorrelation: C_out transforms in place of
    the C_out * C_in of the kernels themselves. With a stride it is the spectrum of A A^T for the convolution A that
    computes every stride-th pixel: the autocorrelation at multiples of the stride, or S_k folded onto the coarse grid.

    Args:
        correlation: `autocorrelation` of the kernels, shape (C_out, *lags), lags odd.
        grid: size of the circular grid, of the strided pixels; it may be smaller than the kernel, lags then wrap.
        dilation: spacing of the kernel's taps in pixels; by default 1 in every direction.
        stride: spacing of the grid's points in pixels; by default 1 in every direction.

    Returns:
        Shape (C_out, *grid) with the last N as N // 2 + 1, in the layout of `torch.fft.rfftn`. Zero or above but for
        rounding, which is relative to the largest S_k: take `direct_power_spectrum` where the small ones matter.

    >>> power_spectrum(autocorrelation(torch.tensor([[[1.0, 2.0]]])), [4]).round()
    tensor([[9., 5., 1.]])
    """
    dilation, stride = dilation or [1] * len(grid), stride or [1] * len(grid)
    half = (*grid[:-1], grid[-1] // 2 + 1)
    lags = tuple(correlation.shape[1:])
    if correlation.device.type == "cpu" and not traced() and math.prod(lags) * math.prod(half) <= LARGEST_MATRIX:
        # A product with few lags takes a fraction of the time of the transform and of what it needs around it.
        cosines = _cosines(lags, tuple(grid), tuple(dilation), tuple(stride), correlation.dtype)
        return (correlation.flatten(1) @ cosines).unflatten(1, half)
    for axis, (d, s) in enumerate(zip(dilation, stride, strict=True), start=1):
        # Of the lags d * t only multiples of s are read; in units of s those are t = 0, +-step, ... with spacing d'.
        step = s // math.gcd(d, s)
        reach = correlation.shape[axis] // 2 // step * step
        centre = correlation.shape[axis] // 2
        index = torch.arange(centre - reach, centre + reach + 1, step, device=correlation.device)
        if step > 1:
            correlation = correlation.index_select(axis, index)
    spacing = [d // math.gcd(d, s) for d, s in zip(dilation, stride, strict=True)]
    centres = [n // 2 for n in correlation.shape[1:]]
    return torch.fft.rfftn(place(correlation, grid, centres, spacing), dim=list(range(1, correlation.dim()))).real


@cached
def _lags(kernel_size: tuple[int, ...], device: torch.device) -> Tensor:
    """Return the number of the lag between every two taps, in row-major order."""
    lag = torch.zeros((), dtype=torch.int64, device=device)
    for axis, k in enumerate(kernel_size):
        tap = torch.arange(k, device=device).view([-1 if i == axis else 1 for i in range(len(kernel_size))])
        tap = tap.expand(kernel_size).flatten()
        lag = lag * (2 * k - 1) + (tap[:, None] - tap[None, :] + k - 1)
    return lag.flatten()


@cached
def _cosines(
    lags: tuple[int, ...], grid: tuple[int, ...], dilation: tuple[int, ...], stride: tuple[int, ...], dtype: torch.dtype
) -> Tensor:
    """Return the wave of every lag on the half grid, (lags, frequencies); zero for lags that the stride passes over."""
    waves = torch.ones(1, 1, dtype=torch.complex128, device="cpu")
    for axis, (count, n, d, s) in enumerate(zip(lags, grid, dilation, stride, strict=True)):
        pixels = (torch.arange(count, device="cpu") - count // 2) * d
        frequency = torch.arange(n // 2 + 1 if axis == len(grid) - 1 else n, device="cpu")
        turns = (pixels.div(s, rounding_mode="floor")[:, None] * frequency % n).double() / n
        read = (pixels % s == 0).double()[:, None]
        waves = torch.kron(waves, torch.polar(read.expand_as(turns).contiguous(), 2 * math.pi * turns))
    return waves.real.to(dtype).contiguous()


def direct_power_spectrum(
    weight: Tensor, grid: Sequence[int], dilation: Sequence[int] | None = None, stride: Sequence[int] | None = None
) -> Tensor:
    """Return `power_spectrum` of the kernels themselves, as a sum of squares.

    It is never negative, and computed in float64 (where the device has it), so that the near zeros of float32 weights
    are right too. Every kernel has its own transform, a matrix product over its few taps: cheaper than the
    autocorrelation up to some 3 input channels. With a stride, the taps of every phase modulo the stride are a kernel.

    Args:
        weight: kernels, shape (C_out, C_in / groups, *kernel_size), any number of dimensions.
        grid: as in `power_spectrum`.
        dilation: as in `power_spectrum`.
        stride: as in `power_spectrum`.

    Returns:
        As `power_spectrum`.

    >>> direct_power_spectrum(torch.tensor([[[1.0, 2.0]]]), [4]).round()
    tensor([[9., 5., 1.]])
    """
    dilation, stride = dilation or [1] * len(grid), stride or [1] * len(grid)
    half = [*grid[:-1], grid[-1] // 2 + 1]
    # Angles of every frequency by every tap, and the taps' phases.
    taps = weight.flatten(2).to(torch.float32 if weight.device.type == "mps" else torch.float64)
    angle, phase, phases = taps.new_zeros(1, 1), torch.zeros(1, dtype=torch.int64, device=weight.device), {0}
    for k, n, m, d, s in zip(weight.shape[2:], grid, half, dilation, stride, strict=True):
        pixel = torch.arange(k, device=weight.device) * d
        turns = torch.arange(m, device=weight.device)[:, None] * pixel.div(s, rounding_mode="floor") % n
        angle = (angle[:, None, :, None] + turns.to(angle.dtype)[:, None] * (2 * math.pi / n)).flatten(2).flatten(0, 1)
        phase = (phase[:, None] * s + pixel % s).flatten()
        phases = {first * s + t * d % s for first in phases for t in range(k)}
    matrix, power = torch.cat([angle.cos(), angle.sin()]), taps.new_zeros(())
    for number in sorted(phases):
        own = matrix if len(phases) == 1 else matrix * (phase == number)
        power = power + (taps @ own.T).square().sum(1)
    return power.unflatten(1, (2, *half)).sum(1).to(weight.dtype)


def place(taps: Tensor, grid: Sequence[int], centre: Sequence[int], spacing: Sequence[int] | None = None) -> Tensor:
    """Put filters on a circular grid: the tap of index `centre` at the origin, taps beyond the grid wrap.

    Args:
        taps: shape (C, *size).
        grid: size of the circular grid.
        centre: index of the tap that goes to the origin.
        spacing: distance of neighbouring taps, one by default.

    Returns:
        Shape (C, *grid).

    >>> place(torch.tensor([[1.0, 2.0, 3.0]]), [5], [1])
    tensor([[2., 3., 0., 0., 1.]])
    """
    position = torch.zeros((), dtype=torch.int64, device=taps.device)
    for axis, (n, c) in enumerate(zip(grid, centre, strict=True)):
        index = (torch.arange(taps.shape[axis + 1], device=taps.device) - c) * (spacing[axis] if spacing else 1) % n
        position = position[..., None] * n + index
    placed = taps.new_zeros(taps.shape[0], math.prod(grid)).index_add(1, position.flatten(), taps.flatten(1))
    return placed.unflatten(1, tuple(grid))
