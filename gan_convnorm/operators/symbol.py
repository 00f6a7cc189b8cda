"""A circular convolution frequency by frequency: one small matrix each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gan_convnorm.operators.kernel import Kernel

__all__ = ["symbols"]

#: matrix entries that are held at once, 64 MiB of complex64
ENTRIES = 2**23


@torch.no_grad()
def symbols(kernel: Kernel, grid: Sequence[int], *, strided: bool = True) -> Iterator[tuple[Tensor, Tensor]]:
    """The matrices to which the DFT reduces a convolution on a circular grid (Sedghi et al., ICLR 2019, theorem 6).

    K(w)_kj = sum_t a_kj[t] exp(i w d t). With a stride s, a coarse frequency has the s^dims fine ones that alias to it
    beside each other, over sqrt(s^dims): the singular values of all matrices together are those of the convolution that
    keeps every s-th pixel.

    Args:
        kernel: of the layer. A transposed layer's matrices are those of its adjoint.
        grid: size of the circular grid before the stride, a multiple of it; taps beyond the grid wrap.
        strided: False for the convolution at every pixel.

    Yields:
        Blocks of frequencies: matrices of shape (frequencies, groups, rows, columns * s^dims), and how many frequencies
        of the whole grid each stands for: two where the conjugate is left out.
    """
    weight = kernel.weight
    groups, rows, columns = weight.shape[:3]
    stride = kernel.stride if strided else (1,) * len(grid)
    coarse = [n // s for n, s in zip(grid, stride, strict=True)]
    half = [*coarse[:-1], coarse[-1] // 2 + 1]
    frequencies = _indices(half, weight.device)
    aliases = _indices(stride, weight.device) * torch.tensor(coarse, device=weight.device)
    taps = _indices(weight.shape[3:], weight.device) * torch.tensor(kernel.dilation, device=weight.device)
    kernels = weight.flatten(3).flatten(0, 2).T
    complex_dtype = torch.promote_types(weight.dtype, torch.complex64)
    fine_filter, coarse_filter = None, None
    if kernel.transfer is not None:
        if kernel.coarse_filter and strided:
            coarse_filter = _whole(kernel.transfer(tuple(coarse)), coarse)
        else:
            fine_filter = _whole(kernel.transfer(tuple(grid)), grid)
    sizes = torch.tensor(grid, dtype=torch.float64, device=weight.device)
    for block in frequencies.split(max(1, ENTRIES // (kernels.shape[1] * len(aliases)))):
        fine = block[:, None] + aliases
        angle = (2 * math.pi * fine.double() / sizes) @ taps.double().T
        phases = torch.polar(torch.ones_like(angle), angle).to(complex_dtype)
        matrices = (phases @ kernels.to(complex_dtype)).unflatten(2, (groups, rows, columns))
        if fine_filter is not None:
            factor = fine_filter[:, _flat(fine, grid)].movedim(0, -1).unflatten(-1, (groups, -1))
            matrices = matrices * (factor.conj().unsqueeze(-2) if kernel.transposed else factor.unsqueeze(-1))
        matrices = matrices.permute(0, 2, 3, 4, 1).flatten(3) / math.sqrt(len(aliases))
        if coarse_filter is not None:
            factor = coarse_filter[:, _flat(block, coarse)].movedim(0, -1).unflatten(-1, (groups, -1))
            matrices = matrices * factor.unsqueeze(-1)
        own = (block[:, -1] == 0) | (2 * block[:, -1] == coarse[-1])
        yield matrices, torch.where(own, 1, 2)


def _indices(size: Sequence[int], device: torch.device) -> Tensor:
    """Every index of a grid in row-major order, shape (points, dims)."""
    return torch.cartesian_prod(*(torch.arange(n, device=device) for n in size)).view(-1, len(size))


def _flat(index: Tensor, size: Sequence[int]) -> Tensor:
    flat = index[..., 0]
    for axis, n in enumerate(size[1:], start=1):
        flat = flat * n + index[..., axis]
    return flat


def _whole(half: Tensor, grid: Sequence[int]) -> Tensor:
    """A real filter's transfer function on all frequencies, shape (C, frequencies)."""
    axes = list(range(1, len(grid) + 1))
    return torch.fft.fftn(torch.fft.irfftn(half, s=tuple(grid), dim=axes), dim=axes).flatten(1)
