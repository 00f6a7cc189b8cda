"""The wave that every tap of a kernel adds to the kernel's spectrum."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gan_convnorm.fourier.execution import cached

__all__ = ["tap_waves"]


def tap_waves(
    kernel_size: Sequence[int],
    grid: Sequence[int],
    dilation: Sequence[int],
    offset: Sequence[int],
    pool: int,
    like: Tensor,
) -> Tensor:
    """Return e^(2 pi i w (d t - offset) / N) times the response of a box, for every frequency w and tap t.

    Tap t of a correlation multiplies the spectrum of an image by this wave. So the sum of the waves, weighted by the
    taps, is the spectrum of the kernel. A box of `pool` pixels from a pixel on averages the output over them.

    Args:
        kernel_size: of the convolution.
        grid: N, size of the circular grid.
        dilation: d, spacing of the taps in pixels.
        offset: the pixels by which the output is shifted: the padding.
        pool: side of the box over which the output is averaged; 1 for none.
        like: a tensor with the dtype and the device of the waves.

    Returns:
        Shape (2, frequencies of the half grid, taps): real and imaginary parts; frequencies and taps in row-major
        order. The same tensor serves every call: do not write to it.

    >>> tap_waves([2], [4], [1], [0], 1, torch.zeros(1))[0].round()  # taps 0 and 1 at w = 0, 1, 2
    tensor([[ 1.,  1.],
            [ 1.,  0.],
            [ 1., -1.]])
    """
    return _waves(tuple(kernel_size), tuple(grid), tuple(dilation), tuple(offset), pool, like.dtype, like.device)


@cached
def _waves(
    kernel_size: tuple[int, ...],
    grid: tuple[int, ...],
    dilation: tuple[int, ...],
    offset: tuple[int, ...],
    pool: int,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    waves = torch.ones(1, 1, dtype=torch.complex128, device="cpu")
    for axis, (k, n, d, o) in enumerate(zip(kernel_size, grid, dilation, offset, strict=True)):
        frequency = torch.arange(n // 2 + 1 if axis == len(grid) - 1 else n, device="cpu")
        taps = _phase(frequency, torch.arange(k, device="cpu") * d - o, n)
        box = _phase(frequency, torch.arange(pool, device="cpu"), n).mean(-1, keepdim=True)
        waves = torch.kron(waves, taps * box)
    return torch.stack([waves.real, waves.imag]).to(device, dtype).contiguous()


def _phase(frequency: Tensor, shift: Tensor, n: int) -> Tensor:
    angle = (2 * math.pi / n) * (frequency[:, None] * shift % n).double()
    return torch.polar(torch.ones_like(angle), angle)
