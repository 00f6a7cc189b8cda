"""ConvNorm for the transposed convolutions of generators."""

from __future__ import annotations

from typing import Any, Literal, Unpack

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.arguments import as_batch, checked_geometry
from gan_convnorm.layers.convnorm.geometry import Geometry, transposed_geometry
from gan_convnorm.layers.convnorm.methods import precondition
from gan_convnorm.layers.convnorm.options import ConvNormKeywords, ConvNormOptions
from gan_convnorm.layers.convnorm.preconditioned import Preconditioned
from gan_convnorm.layers.reading_weight import one_weight

__all__ = ["ConvNormTranspose2d"]


class ConvNormTranspose2d(Preconditioned, nn.ConvTranspose2d):
    """A transposed convolution with bounded channels, ||Q_k|| <= 1, in place of `torch.nn.ConvTranspose2d`.

    A transposed convolution puts stride - 1 zeros between the pixels, and correlates with the flipped kernels. These
    have the same power spectrum S_k as the kernels. So the full response, before the padding is cut away, is
    preconditioned by the equation of `ConvNorm2d`. Zeros between the pixels change no norm, so the bounds hold too:
    ||Q_k|| <= 1 and ||Q|| <= sqrt(C_out / groups), without gain and r_k.

    The first eleven arguments are those of `torch.nn.ConvTranspose2d`. The options are those of `ConvNorm2d`, except
    `strided`, which this layer refuses.

    Raises:
        BadInput: a geometry or an option value that no such layer has.

    >>> ConvNormTranspose2d(8, 3, 4, stride=2, padding=1)(torch.zeros(2, 8, 4, 4)).shape
    torch.Size([2, 3, 8, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, int] = 1,
        padding_mode: Literal["zeros"] = "zeros",
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[ConvNormKeywords],
    ) -> None:
        name, sizes = type(self).__name__, (in_channels, out_channels, kernel_size)
        given = (*sizes, stride, padding, dilation, groups, padding_mode, output_padding)
        geometry = checked_geometry(name, 2, *given, transposed=True)
        if "strided" in options:
            raise BadInput(f"{name}: a transposed convolution has no option strided; omit it")
        checked = ConvNormOptions.of(name, **options)
        super().__init__(**geometry, bias=bias, device=device, dtype=dtype)
        self._set_options(checked)

    @override
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if input.dim() != 4 or input.shape[1] != self.in_channels:
            return self.forward(as_batch(type(self).__name__, input, self.in_channels, 2), output_size).squeeze(0)
        with one_weight(self):
            return self._output(input, output_size)

    def _output(self, input: Tensor, output_size: list[int] | None) -> Tensor:
        if self.is_pointwise():
            extra = self._extra(input, output_size)
            weight, padding = self.pointwise_weight(), self._plain_padding()
            return nn.functional.conv_transpose2d(
                input, weight, self.bias, self.stride, padding, extra, self.groups, self.dilation
            )
        response, geometry = self.respond(input, output_size)
        spectrum = self.power_spectrum(geometry.grid)
        return precondition(self, response, spectrum, self.truncate(spectrum, geometry.grid), geometry)

    @override
    def respond(self, input: Tensor, output_size: list[int] | None = None) -> tuple[Tensor, Geometry]:
        geometry = transposed_geometry(
            type(self).__name__,
            input.shape[2:],
            self.kernel_size,
            self.stride,
            self._plain_padding(),
            self.dilation,
            self._extra(input, output_size),
            linear=self.options.boundary == "linear",
        )
        response = nn.functional.conv_transpose2d(
            input, self.weight, None, self.stride, 0, 0, self.groups, self.dilation
        )
        # An output padding beyond the padding reads pixels that no kernel reaches.
        missing = [n - m for n, m in zip(geometry.size, response.shape[2:], strict=True)]
        if any(missing):
            response = nn.functional.pad(response, (0, missing[1], 0, missing[0]))
        return response, geometry

    def _extra(self, input: Tensor, output_size: list[int] | None) -> list[int]:
        lists: list[Any] = [self.stride, self.padding, self.kernel_size]
        return self._output_padding(input, output_size, *lists, 2, self.dilation)  # type: ignore[call-arg]

    def _plain_padding(self) -> tuple[int, ...]:
        return tuple(int(p) for p in self.padding)

    def _kernels(self) -> Tensor:
        kernels = self.weight.unflatten(0, (self.groups, -1)).transpose(1, 2)
        return kernels.flatten(0, 1)

    def _stored(self, kernels: Tensor) -> Tensor:
        """Return kernels in the layout of the weight: the inverse of `_kernels`."""
        return kernels.unflatten(0, (self.groups, -1)).transpose(1, 2).flatten(0, 1)
