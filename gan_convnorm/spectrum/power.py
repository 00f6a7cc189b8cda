"""Power spectrum of each output channel's kernels, from their summed autocorrelation."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["autocorrelation", "power_spectrum"]


def autocorrelation(weight: Tensor) -> Tensor:
    """Autocorrelation of every output channel's kernels, summed over its input channels.

    R_k[t] = sum_j sum_s a_kj[s + t] a_kj[s], in units of one tap (dilation enters in `power_spectrum`).

    Args:
        weight: kernels, shape (C_out, C_in / groups, k_h, k_w).

    Returns:
        Shape (C_out, 2 k_h - 1, 2 k_w - 1), lag zero in the centre, symmetric about it.
    """
    channels, _, height, width = weight.shape
    taps = weight.flatten(2).transpose(1, 2)
    # One Gram product per channel holds every product of two taps, already summed over the input channels; what is
    # left is to add up those of equal lag.
    gram = taps @ taps.transpose(1, 2)
    row = torch.arange(height, device=weight.device).repeat_interleave(width)
    column = torch.arange(width, device=weight.device).repeat(height)
    lag_row = row[:, None] - row[None, :] + height - 1
    lag_column = column[:, None] - column[None, :] + width - 1
    lag = (lag_row * (2 * width - 1) + lag_column).flatten()
    summed = gram.new_zeros(channels, (2 * height - 1) * (2 * width - 1)).index_add(1, lag, gram.flatten(1))
    return summed.unflatten(1, (2 * height - 1, 2 * width - 1))


def power_spectrum(correlation: Tensor, grid: tuple[int, int], dilation: tuple[int, int] = (1, 1)) -> Tensor:
    """S_k(w) = sum_j |F a_kj (w)|^2 on the frequencies of a circular grid.

    By the Wiener-Khinchin theorem the power spectrum is the DFT of the autocorrelation: C_out transforms in place of
    the C_out * C_in of the kernels themselves.

    Args:
        correlation: `autocorrelation` of the kernels, shape (C_out, 2 k_h - 1, 2 k_w - 1).
        grid: height and width N_h, N_w of the circular grid; it may be smaller than the kernel, lags then wrap.
        dilation: spacing of the kernel's taps in pixels.

    Returns:
        Shape (C_out, N_h, N_w // 2 + 1), in the layout of `torch.fft.rfft2`. Zero or above but for rounding.
    """
    lags_h, lags_w = correlation.shape[-2:]
    position_h = (torch.arange(lags_h, device=correlation.device) - lags_h // 2) * dilation[0] % grid[0]
    position_w = (torch.arange(lags_w, device=correlation.device) - lags_w // 2) * dilation[1] % grid[1]
    position = (position_h[:, None] * grid[1] + position_w[None, :]).flatten()
    wrapped = correlation.new_zeros(correlation.shape[0], grid[0] * grid[1])
    wrapped = wrapped.index_add(1, position, correlation.flatten(1))
    return torch.fft.rfft2(wrapped.unflatten(1, grid)).real
