"""The grid on which `spectral_conv` measures a convolution: of every image size, or of one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput

__all__ = ["GridConvolution", "Reads", "every_size", "one_size"]

#: points of the circular grid for every degree of the operator's symbol
OVERSAMPLING = 8


@dataclass(frozen=True)
class Reads:
    """The pixels that a padded row reads, kept as a rule. A buffer would be lost on the meta device.

    Attributes:
        first: position of the first pixel, counted from the row's own first.
        end: position after the last.
        size: pixels of the row.
        mode: how the row goes on beyond its ends: zeros, circular, replicate or reflect.

    >>> Reads(-1, 4, 3, "reflect").index(torch.device("cpu"))
    tensor([1, 0, 1, 2, 1])
    """

    first: int
    end: int
    size: int
    mode: str

    def index(self, device: torch.device) -> Tensor:
        """Return the index of every pixel that is read; `size` stands for zero."""
        index, n = torch.arange(self.first, self.end, device=device), self.size
        if self.mode == "circular":
            return index % n
        if self.mode == "replicate":
            return index.clamp(0, n - 1)
        if self.mode == "reflect":
            return (n - 1) - ((n - 1) - index.abs()).abs()
        return index.where((index >= 0) & (index < n), n)


@dataclass(frozen=True)
class GridConvolution:
    """A convolution on a grid.

    Attributes:
        stride: of the convolution.
        dilation: of the convolution.
        grid: size of its images.
        reads: per dimension the pixels of which the padded image consists.
        factor: by which the norm on this grid is multiplied.

    >>> found = one_size(nn.Conv1d(3, 8, 3, stride=2, padding=1), 8)
    >>> found.stride, found.grid, found.reads
    ((2,), (8,), (Reads(first=-1, end=9, size=8, mode='zeros'),))
    """

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    grid: tuple[int, ...]
    reads: tuple[Reads, ...]
    factor: float


def every_size(layer: nn.modules.conv._ConvNd) -> GridConvolution:
    """Return the circular convolution whose norm, times its factor, bounds the layer's for every image size.

    >>> every_size(nn.Conv1d(1, 1, 3)).grid
    (16,)
    """
    # A A^T holds the lags d t that s divides, so it is that of the dense kernel with the stride s / gcd(s, d), spread.
    stride = tuple(s // math.gcd(s, d) for s, d in zip(layer.stride, layer.dilation, strict=True))
    reads, grid, factor = [], [], 1.0
    for k, s in zip(layer.kernel_size, stride, strict=True):
        degree = (k - 1) // s
        points = max(1, OVERSAMPLING * degree)
        factor /= math.sqrt(math.cos(math.pi * degree / points))
        grid.append(points * s)
        reads.append(Reads(0, points * s + k - 1, points * s, "circular"))
    return GridConvolution(stride, (1,) * len(stride), tuple(grid), tuple(reads), factor)


def one_size(layer: nn.modules.conv._ConvNd, size: int) -> GridConvolution:
    """Return the layer's own convolution on images of `size` pixels a side; of a transposed layer the adjoint.

    Raises:
        BadInput: a size below the kernel.

    >>> one_size(nn.Conv1d(1, 1, 3, padding=1), 8).grid
    (8,)
    """
    pairs = [int(p) for p in layer._reversed_padding_repeated_twice][::-1]
    extras = layer.output_padding if layer.transposed else (0,) * len(layer.stride)
    reads, grid = [], []
    for axis, (k, s, d, extra) in enumerate(zip(layer.kernel_size, layer.stride, layer.dilation, extras, strict=True)):
        after, before = pairs[2 * axis : 2 * axis + 2]
        # The adjoint of a transposed convolution maps its outputs to its inputs.
        n = (size - 1) * s - before - after + d * (k - 1) + extra + 1 if layer.transposed else size
        if n < 1 or n + before + after <= d * (k - 1):
            raise BadInput(
                f"spectral_conv: size {size} with padding {before} is below the kernel; choose a larger size"
            )
        reads.append(Reads(-before, n + after, n, layer.padding_mode))
        grid.append(n)
    return GridConvolution(layer.stride, layer.dilation, tuple(grid), tuple(reads), 1.0)
