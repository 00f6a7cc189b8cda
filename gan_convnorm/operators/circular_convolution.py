"""A circular convolution as an operator that the DFT reduces to one small matrix a frequency."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from gan_convnorm.fourier.execution import complex_dtype
from gan_convnorm.operators.kernel import Kernel
from gan_convnorm.operators.linear_operator import LinearOperator

__all__ = ["CircularConvolution", "Symbols"]

#: matrix entries that are held at once, 64 MiB of complex64
ENTRIES = 2**23


class Symbols(NamedTuple):
    """The matrices of a block of frequencies.

    >>> from gan_convnorm.operators.kernel import kernel_of
    >>> (block,) = CircularConvolution(kernel_of(torch.nn.Conv1d(2, 3, 2)), (4,)).symbols()
    >>> block.matrices.shape, block.multiplicity.tolist()
    (torch.Size([3, 1, 3, 2]), [1, 2, 1])

    Attributes:
        matrices: shape (frequencies, groups, rows, columns * s^dims), complex.
        multiplicity: how many frequencies of the whole grid each stands for, shape (frequencies,): two where the
            conjugate is left out, else one.
        coarse: index of each frequency on the strided grid, shape (frequencies, dims).
        fine: indices of the frequencies that alias to it, shape (frequencies, s^dims, dims).
    """

    matrices: Tensor
    multiplicity: Tensor
    coarse: Tensor
    fine: Tensor


class CircularConvolution(LinearOperator):
    """y[m] = sum_t a[t] x[s m + d t] with indices modulo the grid, for stride s and dilation d.

    >>> from gan_convnorm.operators.kernel import kernel_of
    >>> layer = torch.nn.Conv1d(1, 1, 2, bias=False).double()
    >>> layer.weight.data = torch.tensor([[[1.0, 10.0]]], dtype=torch.float64)
    >>> CircularConvolution(kernel_of(layer), (3,)).matrix().round().abs()
    tensor([[ 1., 10.,  0.],
            [ 0.,  1., 10.],
            [10.,  0.,  1.]], dtype=torch.float64)

    Args:
        kernel: of a layer. The operator of a transposed layer is the layer's adjoint.
        grid: size of the circular grid before the stride, a multiple of it; taps beyond the grid wrap.
        strided: False for the convolution at every pixel.
    """

    def __init__(self, kernel: Kernel, grid: Sequence[int], *, strided: bool = True) -> None:
        self.kernel, self.grid, self.strided = kernel, tuple(grid), strided
        self.stride = kernel.stride if strided else (1,) * len(grid)
        #: size of the grid of outputs
        self.coarse = tuple(n // s for n, s in zip(grid, self.stride, strict=True))
        groups, rows, columns = kernel.weight.shape[:3]
        self.groups = groups
        self.input_shape = (groups * columns, *self.grid)
        self.output_shape = (groups * rows, *self.coarse)
        self.dtype, self.device = kernel.weight.dtype, kernel.weight.device

    @override
    @torch.no_grad()
    def apply(self, inputs: Tensor) -> Tensor:
        axes = _axes(self.grid)
        transformed = torch.fft.fftn(inputs, dim=axes, norm="ortho").flatten(2)
        transformed = transformed.view(len(inputs), self.groups, -1, transformed.shape[-1])
        blocks = []
        for matrices, _, _, fine in self.symbols():
            # (batch, groups, columns, frequencies, aliases) -> (frequencies, groups, columns * aliases, batch)
            aliased = transformed[..., _flat(fine, self.grid)].permute(3, 1, 2, 4, 0).flatten(2, 3)
            blocks.append(matrices @ aliased)
        outputs = torch.cat(blocks).permute(3, 1, 2, 0)
        half = (*self.coarse[:-1], self.coarse[-1] // 2 + 1)
        outputs = outputs.reshape(len(inputs), -1, *half)
        image: Tensor = torch.fft.irfftn(outputs, s=self.coarse, dim=axes, norm="ortho")
        return image

    @override
    @torch.no_grad()
    def adjoint(self, outputs: Tensor) -> Tensor:
        axes = _axes(self.grid)
        transformed = torch.fft.fftn(outputs, dim=axes, norm="ortho").flatten(2)
        transformed = transformed.view(len(outputs), self.groups, -1, transformed.shape[-1])
        columns = self.kernel.weight.shape[2]
        found = transformed.new_zeros(len(outputs), self.groups, columns, math.prod(self.grid))
        for matrices, _, coarse, fine in self.symbols():
            image = matrices.mH @ transformed[..., _flat(coarse, self.coarse)].permute(3, 1, 2, 0)
            image = image.view(*image.shape[:2], columns, -1, len(outputs)).permute(4, 1, 2, 0, 3)
            # The image is real: opposite frequencies are conjugate.
            found[..., _flat(-fine % torch.tensor(self.grid, device=fine.device), self.grid)] = image.conj()
            found[..., _flat(fine, self.grid)] = image
        back: Tensor = torch.fft.ifftn(found.view(len(outputs), -1, *self.grid), dim=axes, norm="ortho").real
        return back

    @torch.no_grad()
    def symbols(self) -> Iterator[Symbols]:
        """Yield the matrices to which the DFT reduces the operator (Sedghi et al., ICLR 2019, theorem 6).

        K(w)_kj = sum_t a_kj[t] exp(i w d t). With a stride s, a coarse frequency has the s^dims fine ones that alias to
        it beside each other, over sqrt(s^dims): the singular values of all matrices together are the operator's.

        Yields:
            Blocks of frequencies, which together are one half of the coarse grid's.
        """
        kernel, grid = self.kernel, self.grid
        weight = kernel.weight
        half = [*self.coarse[:-1], self.coarse[-1] // 2 + 1]
        frequencies = _indices(half, weight.device)
        aliases = _indices(self.stride, weight.device) * torch.tensor(self.coarse, device=weight.device)
        taps = _indices(weight.shape[3:], weight.device) * torch.tensor(kernel.dilation, device=weight.device)
        kernels = weight.flatten(3).flatten(0, 2).T
        fine_filter, coarse_filter = self._filters()
        sizes = torch.tensor(grid, dtype=torch.float64, device=weight.device)
        length = max(1, ENTRIES // (kernels.shape[1] * len(aliases)))
        for block in torch.split(frequencies, length):
            fine = block[:, None] + aliases
            angle = (2 * math.pi * fine.double() / sizes) @ taps.double().T
            phases = torch.polar(torch.ones_like(angle), angle).to(complex_dtype(weight))
            matrices = (phases @ kernels.to(complex_dtype(weight))).view(*fine.shape[:2], *weight.shape[:3])
            if fine_filter is not None:
                factor = self._by_group(fine_filter[:, _flat(fine, grid)])
                matrices = matrices * (factor.conj().unsqueeze(-2) if kernel.transposed else factor.unsqueeze(-1))
            matrices = matrices.permute(0, 2, 3, 4, 1).flatten(3) / math.sqrt(len(aliases))
            if coarse_filter is not None:
                matrices = matrices * self._by_group(coarse_filter[:, _flat(block, self.coarse)]).unsqueeze(-1)
            self_conjugate = (block[:, -1] == 0) | (2 * block[:, -1] == self.coarse[-1])
            yield Symbols(matrices, torch.where(self_conjugate, 1, 2), block, fine)

    def _filters(self) -> tuple[Tensor | None, Tensor | None]:
        """Return the filter's transfer function on the fine or on the coarse grid; None for the other one."""
        kernel = self.kernel
        if kernel.transfer is None:
            return None, None
        if kernel.coarse_filter and self.strided:
            return None, _whole(kernel.transfer(self.coarse), self.coarse)
        return _whole(kernel.transfer(self.grid), self.grid), None

    def _by_group(self, factor: Tensor) -> Tensor:
        """Return (C, *frequencies) as (*frequencies, groups, C / groups)."""
        factor = factor.movedim(0, -1)
        return factor.reshape(*factor.shape[:-1], self.groups, -1)


def _axes(grid: Sequence[int]) -> list[int]:
    return list(range(2, len(grid) + 2))


def _indices(size: Sequence[int], device: torch.device) -> Tensor:
    """Return every index of a grid in row-major order, shape (points, dims)."""
    return torch.cartesian_prod(*(torch.arange(n, device=device) for n in size)).view(-1, len(size))


def _flat(index: Tensor, size: Sequence[int]) -> Tensor:
    """Return the place of an index (..., dims) in row-major order, shape (...)."""
    flat = index[..., 0]
    for axis, n in enumerate(size[1:], start=1):
        flat = flat * n + index[..., axis]
    return flat


def _whole(half: Tensor, grid: Sequence[int]) -> Tensor:
    """Return a real filter's transfer function on all frequencies, shape (C, frequencies)."""
    axes = list(range(1, len(grid) + 1))
    whole: Tensor = torch.fft.fftn(torch.fft.irfftn(half, s=tuple(grid), dim=axes), dim=axes).flatten(1)
    return whole
