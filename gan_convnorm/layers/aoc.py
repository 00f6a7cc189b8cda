"""Orthogonal convolutions as products of reflections and projections."""

from __future__ import annotations

import math
from itertools import zip_longest

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils import parametrize
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.execution import autocast_off, exact_dtype, memory_format_of
from gan_convnorm.layers.arguments import check_whole
from gan_convnorm.layers.oni import newton_orthogonal
from gan_convnorm.layers.parametrized import reset_with_layer

__all__ = ["aoc"]


def aoc(conv: nn.Module, *, iterations: int = 12) -> nn.Module:
    """Make a convolution's kernel a product of orthogonal ones, with ||A|| <= 1 for every zero-padded image.

    An Adaptive Orthogonal Convolution Scheme (Boissin et al., ICML 2025, arXiv:2501.07930); with stride 1 it is BCOP
    (Li et al., NeurIPS 2019, arXiv:1911.00937). With P = Q Q^T and Q^T Q = I these maps of channels are orthogonal:

        x -> (I - 2 P) x                 a reflection; there are two
        x -> P x + (I - P) shift(x)      two neighbouring taps; k - 1 of them along each side of the kernel

    Their product is one kernel of k x k taps. If the numbers of channels differ, some of its columns or rows are left
    out. With a stride s, s x s taps that do not overlap follow, an orthogonal matrix W; the product before it has
    k - s + 1 taps. Where k <= s, as in 1x1 layers, W alone is the kernel. All singular values are 1 with circular
    padding if the stride divides the image and the output is no larger. Zero padding reads a part of a larger image,
    which can only lower a norm. Reflection, replication and wider circular padding copy pixels, which can raise it.

    Q and W come from Newton's iteration, under which no singular value passes 1. Every factor then has norm <= 1, so
    the bound holds whatever the number of iterations. The layer stores matrices in place of a kernel, and no state. It
    draws new ones: those of a given kernel are not known.

    Args:
        conv: `nn.Conv2d`, parametrized in place.
        iterations: of Newton's method.

    Returns:
        The layer, whose `weight` is now the product.

    Raises:
        BadInput: another module; a number of iterations below 1; a stride and a dilation in one direction; one channel,
            whose only orthogonal kernels are shifts.

    >>> layer = aoc(nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular", bias=False))
    >>> image = torch.randn(1, 4, 8, 8)
    >>> bool((layer(image).norm() / image.norm() - 1).abs() < 1e-4)
    True
    """
    check_whole("aoc", "iterations", iterations)
    if type(conv) is not nn.Conv2d:
        raise BadInput(f"aoc: found {type(conv).__name__}, and can take Conv2d")
    # The stored matrices have other shapes than the kernel.
    parametrize.register_parametrization(conv, "weight", _Product(conv, iterations), unsafe=True)
    return reset_with_layer(conv)


class _Product(nn.Module):
    """The kernel of a convolution's geometry, from the matrices that the layer stores."""

    def __init__(self, conv: nn.Conv2d, iterations: int) -> None:
        super().__init__()
        self.iterations, self.groups = iterations, conv.groups
        self.weight_shape = conv.weight.shape
        self.inputs, self.outputs = conv.in_channels // conv.groups, conv.out_channels // conv.groups
        # The taps of W, and by how many the product before it is longer.
        self.taps = [min(k, s) for k, s in zip(conv.kernel_size, conv.stride, strict=True)]
        self.longer = [k - n for k, n in zip(conv.kernel_size, self.taps, strict=True)]
        self.has_product = max(self.longer) > 0
        self.has_matrix = max(conv.stride) > 1 or not self.has_product
        # The channels from the product to W.
        self.between = self.inputs
        if self.has_product:
            self.between = max(self.inputs, self.outputs // math.prod(self.taps)) if self.has_matrix else self.outputs
            if max(self.inputs, self.between) == 1:
                raise BadInput(
                    "aoc: a group has 1 channel, whose only orthogonal kernels are shifts; expected 2 or more"
                )
            if any(s > 1 and d > 1 for s, d in zip(conv.stride, conv.dilation, strict=True)):
                raise BadInput(
                    f"aoc: stride is {conv.stride} and dilation {conv.dilation}; expected one of them to be 1"
                )
        # The matrix's taps must read pixels of different phases, or outputs would share pixels.
        for k, s, d in zip(conv.kernel_size, conv.stride, conv.dilation, strict=True):
            if not self.has_product and len({d * tap % s for tap in range(k)}) < k:
                raise BadInput(
                    f"aoc: stride is {conv.stride} and dilation {conv.dilation}, by which taps of different outputs "
                    "meet; expected one of them to be 1, or no factor in common"
                )

    def right_inverse(self, weight: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return new matrices to store; those of a given kernel are not known."""
        channels, shapes = max(self.inputs, self.between), []
        if self.has_product:
            shapes.append((2 + sum(self.longer), channels, channels // 2))
        if self.has_matrix:
            shapes.append((1, self.outputs, self.between * math.prod(self.taps)))
        drawn = []
        for count, rows, columns in shapes:
            # float32, since half precision has no QR decomposition
            matrices = torch.empty(self.groups * count, rows, columns, device=weight.device)
            for matrix in matrices:
                nn.init.orthogonal_(matrix)
            drawn.append(matrices.view(self.groups, count, rows, columns).to(weight.dtype))
        return drawn[0] if len(drawn) == 1 else tuple(drawn)

    @override
    def forward(self, *stored: Tensor) -> Tensor:
        with autocast_off(stored[0].device):
            orthogonal = [newton_orthogonal(exact_dtype(matrices), self.iterations) for matrices in stored]
            kernel = self._product(orthogonal[0]) if self.has_product else None
            if self.has_matrix:
                kernel = self._matrix_after(kernel, orthogonal[-1][:, 0])
            assert kernel is not None
            found = kernel.flatten(0, 1).to(stored[0].dtype)
        return found.contiguous(memory_format=memory_format_of(stored[0]))

    def _product(self, bases: Tensor) -> Tensor:
        """Return the kernel of the product, shape (groups, between, inputs, taps, taps)."""
        few = min(self.inputs, self.between)
        identity = torch.eye(bases.shape[2], few, dtype=bases.dtype, device=bases.device)
        kernel = identity[..., None, None].expand(self.groups, -1, -1, 1, 1)
        first, second, *steps = bases.unbind(1)
        for basis in (second, first):
            kernel = kernel - 2 * _projected(kernel, basis)
        down, right = steps[: self.longer[0]], steps[self.longer[0] :]
        for pair in zip_longest(right, down):
            for basis, before, after in zip(pair, ((1, 0), (0, 0, 1, 0)), ((0, 1), (0, 0, 0, 1)), strict=True):
                if basis is not None:
                    part = _projected(kernel, basis)
                    kernel = pad(part, after) + pad(kernel - part, before)
        return kernel if self.between >= self.inputs else kernel.transpose(1, 2)

    def _matrix_after(self, kernel: Tensor | None, matrix: Tensor) -> Tensor:
        """Return the kernel of the taps of W, matrix (groups, outputs, between * taps * taps), after another kernel."""
        rows, columns = self.taps
        taps = matrix.unflatten(2, (self.between, rows, columns))
        if kernel is None:
            return taps
        flat, size = kernel.flatten(2), kernel.shape[2:]
        moved = [
            pad((taps[..., i, j] @ flat).unflatten(2, size), (j, columns - 1 - j, i, rows - 1 - i))
            for i in range(rows)
            for j in range(columns)
        ]
        return torch.stack(moved).sum(0)

    def extra_repr(self) -> str:
        """Return the number of iterations."""
        return f"iterations={self.iterations}"


def _projected(kernel: Tensor, basis: Tensor) -> Tensor:
    """Return Q Q^T K of the output channels, for a kernel K (groups, outputs, ...) and Q (groups, outputs, rank)."""
    flat = kernel.flatten(2)
    return (basis @ (basis.mT @ flat)).view_as(kernel)
