"""Orthogonal convolutions by the Cayley transform in Fourier space."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.execution import autocast_off, exact_dtype, memory_format_of, output_dtype
from gan_convnorm.fourier.power_spectrum import place
from gan_convnorm.fourier.real_transform import to_pixels, to_spectrum
from gan_convnorm.layers.arguments import as_batch, check_choice, checked_geometry
from gan_convnorm.layers.cayley_transform import cayley_transform
from gan_convnorm.layers.kernels import phases
from gan_convnorm.layers.like import adopt
from gan_convnorm.layers.parametrized import ExactParametrization, parametrize_weight

__all__ = ["CayleyConv2d", "cayley", "cayley_linear"]


class CayleyConv2d(nn.Conv2d):
    """Convolution whose circular operator has singular values 1, so that the zero-padded one has ||A|| <= 1.

    Orthogonalizing Convolutional Layers with the Cayley Transform (Trockman & Kolter, ICLR 2021, arXiv:2104.07167,
    algorithm 1) replaces the matrix of every frequency by its `cayley_transform`.

    With padding_mode="circular" it is the published layer, and the image is the grid. Then A A^T = I, or A^T A = I with
    more output channels than s^2 C_in. With zero padding the grid is wider than the image by the padding, and the
    output is a part of it; that can only lower a norm. With "reflect" and "replicate" the padded image is the input.
    With a stride s, the s^2 phases of an input channel are channels (the paper's invertible downsampling). The stride
    has to divide a circular image. Padding that copies pixels (reflection, replication, circular padding with an output
    larger than the image) can raise the norm above 1.

    The layer stores its weights and nothing else. The filters of the result are as large as the image. Transforms and
    inverses are float32 (or float64) under autocast. The arguments are those of `torch.nn.Conv2d`.

    Raises:
        BadInput: a geometry that no convolution has; in the forward another shape or number of channels, an image below
            the kernel, or a circular one that the stride does not divide.

    >>> layer = CayleyConv2d(2, 2, 3, padding=1, padding_mode="circular", bias=False)
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
    ) -> None:
        name, sizes = type(self).__name__, (in_channels, out_channels, kernel_size)
        geometry = checked_geometry(name, 2, *sizes, stride, padding, dilation, groups, padding_mode)
        super().__init__(**geometry, bias=bias, device=device, dtype=dtype)

    def orthogonal(self, matrix: Tensor) -> Tensor:
        """Return the orthogonal matrices for those of the frequencies, shape (..., outputs, inputs)."""
        return cayley_transform(matrix)

    def forward(self, input: Tensor) -> Tensor:
        """Return the output; shapes are those of `nn.Conv2d`."""
        if input.dim() != 4 or input.shape[1] != self.in_channels:
            return self.forward(as_batch(type(self).__name__, input, self.in_channels, 2)).squeeze(0)
        if self.kernel_size == (1, 1) and self.stride == (1, 1):
            with autocast_off(input.device):
                matrix = exact_dtype(self.weight)[..., 0, 0].unflatten(0, (self.groups, -1))
                weight = self.orthogonal(matrix).flatten(0, 1)[..., None, None].to(self.weight.dtype)
            return self._conv_forward(input, weight, self.bias)
        pairs = [int(p) for p in self._reversed_padding_repeated_twice]
        padding = [(pairs[2], pairs[3]), (pairs[0], pairs[1])]
        with autocast_off(input.device):
            image = exact_dtype(input)
            if self.padding_mode in ("reflect", "replicate"):
                image, padding = nn.functional.pad(image, pairs, mode=self.padding_mode), [(0, 0), (0, 0)]
            grid, counts = self._grid((image.shape[2], image.shape[3]), padding)
            spectra = to_spectrum(self._phases_of(image, padding, grid), (-2, -1)).flatten(3)
            # (groups, frequencies, outputs, inputs) by (groups, frequencies, inputs, batch)
            found = self._transfer(grid) @ spectra.permute(1, 3, 2, 0)
            found = found.permute(3, 0, 2, 1).unflatten(3, (grid[0], grid[1] // 2 + 1)).flatten(1, 2)
            output = to_pixels(found, grid, (-2, -1))
            for axis, (count, n) in enumerate(zip(counts, grid, strict=True), start=2):
                output = output.index_select(axis, torch.arange(count, device=output.device) % n)
            if self.bias is not None:
                output = output + exact_dtype(self.bias)[:, None, None]
        return output.to(output_dtype(input)).contiguous(memory_format=memory_format_of(input, self.weight))

    def _grid(self, image: tuple[int, int], padding: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
        """Return the side lengths of the circular grid of strided pixels, and those of the output."""
        name, grid, counts = type(self).__name__, [], []
        axes = zip(image, padding, self.kernel_size, self.stride, self.dilation, strict=True)
        for n, (before, after), k, s, d in axes:
            counts.append((n + before + after - d * (k - 1) - 1) // s + 1)
            if counts[-1] <= 0:
                pixels = f"{image[0]} x {image[1]}"
                raise BadInput(f"{name}: an image of {pixels} pixels with padding {before} is below the kernel")
            if self.padding_mode == "circular":
                if n % s:
                    raise BadInput(f"{name}: circular padding needs an image that the stride {s} divides, not {n}")
                grid.append(n // s)
            else:
                # So wide that no tap of the layer's own kernels reads around the grid.
                grid.append(max(-(-(n + max(before, after)) // s), counts[-1]))
        return grid, counts

    def _phases_of(self, image: Tensor, padding: list[tuple[int, int]], grid: list[int]) -> Tensor:
        """Return the image on the grid with the stride's phases as channels: (B, groups, inputs, *grid)."""
        (s1, s2), (n1, n2) = self.stride, grid
        image = nn.functional.pad(image, (0, n2 * s2 - image.shape[3], 0, n1 * s1 - image.shape[2]))
        # An output stands where the centre of its kernel does.
        centres = [d * ((k - 1) // 2) for k, d in zip(self.kernel_size, self.dilation, strict=True)]
        image = image.roll([before - c for (before, _), c in zip(padding, centres, strict=True)], (2, 3))
        image = image.unflatten(3, (n2, s2)).unflatten(2, (n1, s1)).permute(0, 1, 3, 5, 2, 4)
        return image.flatten(1, 3).unflatten(1, (self.groups, -1))

    def _transfer(self, grid: list[int]) -> Tensor:
        """Return the orthogonal matrix of every frequency, shape (groups, frequencies, outputs, inputs)."""
        kernels = exact_dtype(self.weight).unflatten(0, (self.groups, -1))
        kernels, _, centres = phases(kernels, self.stride, self.dilation)
        kernels = kernels.flatten(2, 3)
        # As in `conv2d`, later taps read later pixels.
        centres = [n - 1 - c for n, c in zip(kernels.shape[3:], centres, strict=True)]
        placed = place(kernels.flip(3, 4).flatten(0, 2), grid, centres).unflatten(0, kernels.shape[:3])
        return self.orthogonal(torch.fft.rfft2(placed).flatten(3).permute(0, 3, 1, 2))


class _Cayley(ExactParametrization):
    """The transform of a linear layer's weight."""

    def normalize(self, weight: Tensor) -> Tensor:
        """Return the orthogonal weight."""
        return cayley_transform(weight)


def cayley(conv: nn.Module, *, circular: bool = False) -> CayleyConv2d:
    """Return the `CayleyConv2d` with a convolution's weights; it bounds the operator norm, ||A|| <= 1.

    Args:
        conv: `nn.Conv2d`.
        circular: pad by wrapping around, as published, whatever the layer's own padding is.

    Returns:
        The layer, which shares weight and bias with `conv`.

    Raises:
        BadInput: another module, or a `circular` that is neither true nor false.

    >>> cayley(nn.Conv2d(3, 8, 3, padding=1), circular=True).padding_mode
    'circular'
    """
    check_choice("cayley", "circular", circular, (True, False))
    if type(conv) is not nn.Conv2d:
        raise BadInput(f"cayley: found {type(conv).__name__}, and can take Conv2d")
    return adopt(conv, CayleyConv2d, padding_mode="circular" if circular else conv.padding_mode)


def cayley_linear(linear: nn.Module) -> nn.Module:
    """Make a linear layer's weight orthogonal, W^T W = I or W W^T = I, by `cayley_transform`.

    torch's `torch.nn.utils.parametrizations.orthogonal` inverts a larger matrix, of the longer side's size.

    Args:
        linear: `nn.Linear`, parametrized in place.

    Returns:
        The layer.

    Raises:
        BadInput: another module.

    >>> rows = cayley_linear(nn.Linear(4, 2)).weight
    >>> torch.allclose(rows @ rows.T, torch.eye(2), atol=1e-6)
    True
    """
    if not isinstance(linear, nn.Linear):
        raise BadInput(f"cayley: found {type(linear).__name__}, and can take Linear")
    return parametrize_weight(linear, _Cayley())
