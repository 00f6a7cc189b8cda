"""Orthogonal convolutions as exponentials of skew-symmetric ones."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.execution import autocast_off, exact_dtype, memory_format_of, output_dtype
from gan_convnorm.layers.arguments import as_batch, check_choice, checked_geometry
from gan_convnorm.layers.centred_grid import CentredGrid, centred_grid
from gan_convnorm.layers.kernels import phases
from gan_convnorm.layers.like import adopt
from gan_convnorm.layers.parametrized import ExactParametrization, parametrize_weight
from gan_convnorm.layers.skew import skew, unit_skew

__all__ = ["SOCConv2d", "soc", "soc_linear"]

#: numbers of terms n for which |sum_{i <= n} (j t)^i / i!| <= 1 for all |t| <= 1; it is above 1 for the others
TERMS = (3, 4, 7, 8, 11, 12)


class SOCConv2d(nn.Conv2d):
    """Skew Orthogonal Convolution: the exponential of a skew-symmetric one; with zero padding ||A|| <= 1.

    Skew Orthogonal Convolutions (Singla & Feizi, ICML 2021, arXiv:2105.11417): L = M - M^T, J = L / (a bound of ||L||),

        A x = x + J x + J^2 x / 2! + ... + J^n x / n!

    J is skew-symmetric with circular and with zero padding, so exp(J) is orthogonal in both. For the numbers of terms n
    that are taken here the singular values of the sum are at most 1; for n = 8 they are at least 1 - 2.2e-6. With C_in
    != C_out, zeros are input channels, or output channels are omitted: A^T A = I or A A^T = I. This holds if the
    output is as large as the image. A smaller output is a part of that one, which can only lower a norm. Padding that
    copies pixels (reflection, replication, circular padding with an output larger than the image) can raise it.

    With a stride s, the s^2 phases of an input channel are channels (the paper's invertible downsampling). The stride
    has to divide a circular image. With "reflect" and "replicate" the padded image is the input. A 1x1 layer is the
    matrix exponential of L.

    The layer stores its weights and nothing else. It is computed in float32 (or float64) under autocast. The arguments
    are those of `torch.nn.Conv2d`, and `terms`, the number n.

    Raises:
        BadInput: a geometry that no convolution has, another number of terms; in the forward another shape or number of
            channels, an image below the kernel, or a circular one that the stride does not divide.

    >>> layer = SOCConv2d(2, 2, 3, padding=1, bias=False)
    >>> image = torch.randn(1, 2, 8, 8)
    >>> bool((layer(image).norm() / image.norm() - 1).abs() < 1e-5)
    True
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "circular", "reflect", "replicate"] = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        terms: int = 8,
    ) -> None:
        name, sizes = "SOCConv2d", (in_channels, out_channels, kernel_size)
        geometry = checked_geometry(name, 2, *sizes, stride, padding, dilation, groups, padding_mode)
        check_choice(name, "terms", terms, TERMS)
        super().__init__(**geometry, bias=bias, device=device, dtype=dtype)
        self.terms = terms

    def forward(self, input: Tensor) -> Tensor:
        """Return the output; shapes are those of `nn.Conv2d`."""
        if input.dim() != 4 or input.shape[1] != self.in_channels:
            return self.forward(as_batch("SOCConv2d", input, self.in_channels, 2)).squeeze(0)
        kernels = self.weight.unflatten(0, (self.groups, -1))
        if self.kernel_size == (1, 1) and self.stride == (1, 1):
            with autocast_off(input.device):
                matrix = _exponential(exact_dtype(kernels)[..., 0, 0]).to(self.weight.dtype)
            return self._conv_forward(input, matrix.flatten(0, 1)[..., None, None], self.bias)
        with autocast_off(input.device):
            output = self._exponential_of(exact_dtype(input), exact_dtype(kernels))
            if self.bias is not None:
                output = output + exact_dtype(self.bias)[:, None, None]
        return output.to(output_dtype(input)).contiguous(memory_format=memory_format_of(input, self.weight))

    def _exponential_of(self, image: Tensor, kernels: Tensor) -> Tensor:
        # Without a stride the taps need not be spread.
        spread = [1 if s == 1 else d for s, d in zip(self.stride, self.dilation, strict=True)]
        step = [d if s == 1 else 1 for s, d in zip(self.stride, self.dilation, strict=True)]
        kernels, _, centres = phases(kernels, self.stride, (spread[0], spread[1]))
        radii = [max(c, n - 1 - c) for c, n in zip(centres, kernels.shape[4:], strict=True)]
        margins: list[int] = []
        for radius, centre, n in zip(radii[::-1], centres[::-1], kernels.shape[:3:-1], strict=True):
            margins += [radius - centre, radius - (n - 1 - centre)]
        generator = unit_skew(skew(nn.functional.pad(kernels.flatten(2, 3), margins)))
        size = generator.shape[1]
        reach = [r * d for r, d in zip(radii, step, strict=True)]
        image, grid = self._as_phases(image, reach)
        term = nn.functional.pad(image, (0, 0, 0, 0, 0, size - image.shape[2])).flatten(1, 2)
        found, weight = term, generator.flatten(0, 1)
        for power in range(1, self.terms + 1):
            padding = reach
            if self.padding_mode == "circular":
                term = nn.functional.pad(term, (reach[1], reach[1], reach[0], reach[0]), mode="circular")
                padding = [0, 0]
            term = nn.functional.conv2d(term, weight / power, None, 1, padding, step, self.groups)
            found = found + term
        found = found.unflatten(1, (self.groups, -1))[:, :, : self.out_channels // self.groups].flatten(1, 2)
        for axis, (first, count) in enumerate(zip(grid.lead, grid.counts, strict=True), start=2):
            positions = torch.arange(count, device=found.device) + first
            found = found.index_select(axis, positions % found.shape[axis])
        return found

    def _as_phases(self, image: Tensor, reach: list[int]) -> tuple[Tensor, CentredGrid]:
        """Return the image with the stride's phases as channels, (B, groups, inputs, *grid), and the grid."""
        pairs = [int(p) for p in self._reversed_padding_repeated_twice]
        padding = [(pairs[2], pairs[3]), (pairs[0], pairs[1])]
        if self.padding_mode in ("reflect", "replicate"):
            image, padding = nn.functional.pad(image, pairs, mode=self.padding_mode), [(0, 0), (0, 0)]
        sizes, circular = (image.shape[2], image.shape[3]), self.padding_mode == "circular"
        grid = centred_grid(sizes, padding, self.kernel_size, self.stride, self.dilation, reach, circular=circular)
        (s1, s2), (n1, n2), firsts = self.stride, grid.size, grid.firsts
        if circular:
            image = image.roll(firsts, (2, 3))
        else:
            ends = [n * s - f - size for n, s, f, size in zip(grid.size, self.stride, firsts, sizes, strict=True)]
            image = nn.functional.pad(image, (firsts[1], ends[1], firsts[0], ends[0]))
        image = image.unflatten(3, (n2, s2)).unflatten(2, (n1, s1)).permute(0, 1, 3, 5, 2, 4)
        return image.flatten(1, 3).unflatten(1, (self.groups, -1)), grid

    def extra_repr(self) -> str:
        """Return the geometry and the number of terms."""
        return f"{super().extra_repr()}, terms={self.terms}"


def _exponential(matrices: Tensor) -> Tensor:
    """Return the part of exp(L) that the shape of the matrices asks for; shape (groups, outputs, inputs)."""
    return torch.linalg.matrix_exp(skew(matrices))[:, : matrices.shape[1], : matrices.shape[2]]


class _Exponential(ExactParametrization):
    """The matrix exponential of a linear layer's weight."""

    def normalize(self, weight: Tensor) -> Tensor:
        """Return the orthogonal weight."""
        return _exponential(weight.unsqueeze(0)).squeeze(0)


def soc(conv: nn.Module, *, terms: int = 8) -> SOCConv2d:
    """Return the `SOCConv2d` with a convolution's weights; it bounds the operator norm, ||A|| <= 1.

    Args:
        conv: `nn.Conv2d`.
        terms: terms of the exponential's series, 3, 4, 7, 8, 11 or 12.

    Returns:
        The layer, which shares weight and bias with `conv`.

    Raises:
        BadInput: another module, or another number of terms.

    >>> soc(nn.Conv2d(3, 8, 3, padding=1), terms=4).terms
    4
    """
    check_choice("soc", "terms", terms, TERMS)
    if type(conv) is not nn.Conv2d:
        raise BadInput(f"soc: found {type(conv).__name__}, and can take Conv2d")
    return adopt(conv, SOCConv2d, terms=terms)


def soc_linear(linear: nn.Module) -> nn.Module:
    """Make a linear layer's weight orthogonal, W^T W = I or W W^T = I: a part of exp(L) with the skew-symmetric L.

    Args:
        linear: `nn.Linear`, parametrized in place.

    Returns:
        The layer.

    Raises:
        BadInput: another module.

    >>> rows = soc_linear(nn.Linear(4, 2)).weight
    >>> torch.allclose(rows @ rows.T, torch.eye(2), atol=1e-6)
    True
    """
    if not isinstance(linear, nn.Linear):
        raise BadInput(f"soc: found {type(linear).__name__}, and can take Linear")
    return parametrize_weight(linear, _Exponential())
