"""The contribution of every tap of a kernel to the spectrum of a filtered, pooled and subsampled output."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from gan_convnorm.fourier.execution import complex_dtype

__all__ = ["tap_responses"]


def tap_responses(
    transfer: Tensor,
    kernel_size: Sequence[int],
    grid: Sequence[int],
    dilation: Sequence[int],
    offset: Sequence[int],
    fold: Sequence[int],
    pool: int = 1,
) -> Tensor:
    """Return M_k(c, p, t), the contribution of tap t to the spectrum Z of z[s m], for z = T_k (*) box (*) a_k (*) x.

        Z(c) = sum_p,t M_k(c, p, t) a_kt X_p(c)

    X_p is the spectrum of the interleaved part x[s m + p], on the grid of N / s pixels. Three facts give M_k:

    - x has the spectrum sum_p e^(-2 pi i w p / N) X_p(w mod N / s) at the frequency w;
    - tap t of a correlation multiplies it by e^(2 pi i w (d t - offset) / N);
    - taking every s-th pixel averages over the frequencies w = c + l N / s with 0 <= l < s.

    The box is the mean over the pool's pixels from m on.

    Args:
        transfer: T_k, shape (C_out, *half grid) in the layout of `torch.fft.rfftn`, real or complex.
        kernel_size: of the convolution.
        grid: N, size of the circular grid.
        dilation: d, spacing of the taps in pixels.
        offset: the pixels by which the output is shifted: the padding, less the first pixel that is wanted.
        fold: s for every dimension, a divisor of the grid's size.
        pool: side of the box over which the output is averaged; 1 for none.

    Returns:
        Complex, shape (C_out, frequencies of the folded half grid, product of fold, taps), each in row-major order.

    >>> tap_responses(torch.ones(1, 3), [2], [4], [1], [0], [1])[0, :, 0].real.round()  # taps 0 and 1 at w = 0, 1, 2
    tensor([[ 1.,  1.],
            [ 1.,  0.],
            [ 1., -1.]])
    """
    position, mirrored = _frequencies(tuple(grid), tuple(fold), transfer.device)
    at_frequencies = _read(transfer, position, mirrored).to(complex_dtype(transfer.real))
    geometry = (tuple(values) for values in (kernel_size, grid, dilation, offset, fold))
    all_pass = _all_pass(*geometry, pool, at_frequencies.dtype, transfer.device)
    return torch.einsum("kfl,flpt->kfpt", at_frequencies, all_pass)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _all_pass(
    kernel_size: tuple[int, ...],
    grid: tuple[int, ...],
    dilation: tuple[int, ...],
    offset: tuple[int, ...],
    fold: tuple[int, ...],
    pool: int,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """Return the responses with T_k = 1, (frequencies, aliases l, interleaved parts, taps)."""
    responses = torch.ones(1, 1, 1, 1, dtype=torch.complex128, device="cpu")
    for axis, (k, n, d, o, s) in enumerate(zip(kernel_size, grid, dilation, offset, fold, strict=True)):
        numbers = torch.arange(max(k, n, pool), device="cpu")
        frequency = _aliases(n, s, half=axis == len(grid) - 1)
        taps = _phase(frequency, numbers[:k] * d - o, n)
        box = _phase(frequency, numbers[:pool], n).mean(-1)
        parts = _phase(frequency, -numbers[:s], n) / s
        own = taps[:, :, None, :] * parts[..., None] * box[..., None, None]
        sizes = [a * b for a, b in zip(responses.shape, own.shape, strict=True)]
        responses = torch.einsum("flpt,gmqu->fglmpqtu", responses, own).reshape(sizes)
    return responses.to(device, dtype)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _frequencies(grid: tuple[int, ...], fold: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the places on the half grid of the frequencies and their aliases, and which of them are mirrored.

    Returns:
        Indices in row-major order and booleans, both of shape (frequencies, aliases).
    """
    wanted = torch.zeros(1, 1, dtype=torch.int64, device="cpu")
    for axis, (n, s) in enumerate(zip(grid, fold, strict=True)):
        frequency = _aliases(n, s, half=axis == len(grid) - 1)
        wanted = (wanted[:, None, :, None] * n + frequency[:, None, :]).flatten(2).flatten(0, 1)
    position = torch.zeros_like(wanted)
    mirrored = wanted % grid[-1] > grid[-1] // 2
    places = math.prod(grid)
    for axis, n in enumerate(grid):
        places //= n
        frequency = wanted // places % n
        frequency = torch.where(mirrored, -frequency % n, frequency)
        position = position * (n // 2 + 1 if axis == len(grid) - 1 else n) + frequency
    return position.to(device), mirrored.to(device)


def _aliases(n: int, fold: int, half: bool) -> Tensor:
    """Return the frequencies w = c + l N / s of an axis, by c and l; those of equal c are one on the folded grid."""
    coarse = n // fold
    steps = torch.arange(max(coarse, fold), device="cpu")
    return steps[: coarse // 2 + 1 if half else coarse, None] + coarse * steps[:fold]


def _phase(frequency: Tensor, shift: Tensor, n: int) -> Tensor:
    angle = (2 * math.pi / n) * (frequency[..., None] * shift % n).double()
    return torch.complex(angle.cos(), angle.sin())


def _read(transfer: Tensor, position: Tensor, mirrored: Tensor) -> Tensor:
    """Return a half grid's values at frequencies of the whole one, (C, frequencies, aliases)."""
    if position.shape[1] == 1:
        return transfer.flatten(1)[..., None]
    found = transfer.flatten(1)[:, position]
    return torch.where(mirrored, found.conj(), found) if transfer.is_complex() else found
