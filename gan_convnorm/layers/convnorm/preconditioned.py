"""The common part of all ConvNorm layers: their options, and the preconditioner by taps or by transforms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.circular_grid import autocast_off, exact_dtype, memory_format_of, traced
from gan_convnorm.fourier.exact import least_power
from gan_convnorm.fourier.grid_filter import filter_reference, filter_response
from gan_convnorm.fourier.power_spectrum import autocorrelation, direct_power_spectrum, place, power_spectrum
from gan_convnorm.layers.convnorm.geometry import Geometry
from gan_convnorm.layers.convnorm.options import ConvNormOptions
from gan_convnorm.layers.convnorm.truncation import Truncated, certified_taps, compose, filter_truncated, radius_limit
from gan_convnorm.layers.gain import gain_factor, gain_parameter, gain_start

__all__ = ["Preconditioned", "filter_exactly"]

#: eps below so many units of rounding needs the kernels' own transforms: 2e-6 in float32
EPS_OF_ROUNDING = 16
#: input channels per group up to which the kernels' own transforms are the cheaper
FEW_INPUTS = 3


class Preconditioned(nn.modules.conv._ConvNd):
    """The base class of all ConvNorm layers: the options, the preconditioner and the ways to apply it."""

    affine_weight: nn.Parameter | None
    gain_logit: nn.Parameter | None

    options: ConvNormOptions

    def _set_options(self, options: ConvNormOptions) -> None:
        if options.boundary == "linear" and self.padding_mode == "circular":
            name = type(self).__name__
            raise BadInput(f"{name}: boundary 'linear' contradicts padding_mode 'circular'; choose boundary 'circular'")
        self.options = options
        affine = options.affine
        self.gain_logit = gain_parameter(options.gain, options.max_gain, self.out_channels // self.groups, self.weight)
        if affine is None:
            self.register_parameter("affine_weight", None)
        else:
            size = self.kernel_size if affine == "depthwise" else (1,) * len(self.kernel_size)
            self.affine_weight = nn.Parameter(self.weight.new_empty(self.out_channels, *size))
        self._reset_options()

    def reset_parameters(self) -> None:
        """Draw weight and bias as torch's layer does; start the affine as the identity, and a learned gain."""
        super().reset_parameters()
        if hasattr(self, "options"):  # torch's constructor draws before the options are set
            self._reset_options()

    @torch.no_grad()
    def _reset_options(self) -> None:
        if self.gain_logit is not None:
            self.gain_logit.fill_(gain_start(self.options.max_gain, self.out_channels // self.groups))
        if self.affine_weight is not None:
            self.affine_weight.zero_()
            centre: tuple[Any, ...] = (slice(None), *((k - 1) // 2 for k in self.affine_weight.shape[1:]))
            self.affine_weight[centre] = 1

    def transfer_function(self, grid: tuple[int, ...]) -> Tensor:
        """Return gain * F[r_k] * (S_k + eps)^(-1/2) on a circular grid.

        Args:
            grid: size of the grid; with strided="fold" of the strided pixels.

        Returns:
            Shape (C_out, *grid) with the last N as N // 2 + 1, in the layout of `torch.fft.rfftn`, float32 or float64;
            complex only with a depthwise affine.
        """
        return self.transfer(self.spectrum(grid), grid)

    def truncated_preconditioner(self, grid: tuple[int, ...]) -> Truncated | None:
        """Return taps in place of (S_k + eps)^(-1/2), without affine and gain; None if no radius is certified."""
        return self.truncate(self.spectrum(grid), grid)

    def spectrum(self, grid: tuple[int, ...]) -> Tensor:
        """Return S_k + eps on a circular grid, shape (C_out, *half grid), float32 or float64."""
        weight = self._kernels()
        weight = weight.detach() if self.options.gradient == "stop" else weight
        with autocast_off(weight.device):
            weight, stride = exact_dtype(weight), self._response_stride()
            # The autocorrelation's transform rounds to a share of max S_k, which must be small beside eps. Kernels with
            # few input channels have spectral zeros, and the direct way costs no more there.
            tiny_eps = self.options.eps < EPS_OF_ROUNDING * torch.finfo(weight.dtype).eps
            if not self.is_pointwise() and (tiny_eps or weight.shape[1] <= FEW_INPUTS):
                spectrum = direct_power_spectrum(weight, grid, self.dilation, stride)
            else:
                spectrum = power_spectrum(autocorrelation(weight), grid, self.dilation, stride)
        spectrum = spectrum.clamp_min(0) + self.options.eps
        return spectrum.clamp_min(least_power(spectrum.dtype)) if tiny_eps else spectrum

    def transfer(self, spectrum: Tensor, grid: tuple[int, ...]) -> Tensor:
        """Return `transfer_function` from S_k + eps."""
        transfer = spectrum.rsqrt() * self._gain()
        if self.affine_weight is None:
            return transfer
        affine = exact_dtype(self.affine_weight)
        if self.options.affine == "channel":
            return transfer * affine
        # The centre tap is at the origin and, as in `conv2d`, later taps read later pixels.
        axes = list(range(1, affine.dim()))
        placed = place(affine.flip(axes), grid, [k // 2 for k in affine.shape[1:]])
        return transfer * torch.fft.rfftn(placed, dim=axes)

    def truncate(self, spectrum: Tensor, grid: tuple[int, ...]) -> Truncated | None:
        """Return `truncated_preconditioner` from S_k + eps."""
        # A choice by value would break a traced graph; there the exact filter meets every tolerance.
        if not self.options.tolerance or spectrum.device.type == "meta" or traced():
            return None
        limit = radius_limit(spectrum.device) if self.options.max_radius is None else self.options.max_radius
        return certified_taps(spectrum, grid, self.options.tolerance, limit, [k > 1 for k in self.kernel_size])

    def _gain(self) -> float | Tensor:
        return gain_factor(self.options.gain, self.options.max_gain, self.out_channels // self.groups, self.gain_logit)

    def _kernels(self) -> Tensor:
        """Return the weight as (C_out, C_in / groups, *kernel_size)."""
        return self.weight

    def _response_stride(self) -> tuple[int, ...]:
        return self.stride if self.options.strided == "fold" else (1,) * len(self.stride)

    def respond(self, input: Tensor) -> tuple[Tensor, Geometry]:
        """Return the convolution of a batch on all of its grid, before the preconditioner, and its geometry."""
        raise NotImplementedError

    def precondition(
        self, response: Tensor, spectrum: Tensor, truncated: Truncated | None, geometry: Geometry
    ) -> Tensor:
        """Return the output from the response: by few taps if given, else by transforms."""
        with autocast_off(response.device):
            if truncated is None:
                return filter_exactly(response, self.transfer(spectrum, geometry.grid), self.bias, geometry)
            taps, reach = self.with_affine(truncated.taps)
            bias = None if self.bias is None else self.bias.to(response.dtype)
            wrap = self.options.boundary == "circular"
            output = filter_truncated(response, taps.to(response.dtype), reach, bias, geometry, wrap=wrap)
            return output.contiguous(memory_format=memory_format_of(response))

    def with_affine(self, taps: Tensor) -> tuple[Tensor, list[int]]:
        """Return the taps of the preconditioner with gain and affine, and how many stand before the origin."""
        taps = taps * self._gain()
        if self.affine_weight is None:
            return taps, [n // 2 for n in taps.shape[1:]]
        return compose(taps, exact_dtype(self.affine_weight))

    def is_pointwise(self) -> bool:
        """Return whether the kernel has a single tap."""
        return all(k == 1 for k in self.kernel_size)

    def pointwise_weight(self) -> Tensor:
        """Return the plain convolution's weight for a 1x1 layer: its spectrum is flat, so P_k is a factor."""
        ones = (1,) * len(self.kernel_size)
        with autocast_off(self.weight.device):
            kernels = exact_dtype(self._kernels()) * self.transfer_function(ones).real.unsqueeze(1)
        return self._stored(kernels).to(self.weight.dtype)

    def _stored(self, kernels: Tensor) -> Tensor:
        """Return kernels in the layout of the weight: the inverse of `_kernels`."""
        return kernels

    @override
    def extra_repr(self) -> str:
        return ", ".join([super().extra_repr(), *(f"{name}={value!r}" for name, value in self.options.shown().items())])


def filter_exactly(response: Tensor, transfer: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Return z_k = F^-1[T_k] (*) y_k on the geometry's grid, cropped, plus the bias, in the response's dtype."""
    if geometry.grid != geometry.size:
        padding = [p for n, m in zip(geometry.size, geometry.grid, strict=True) for p in (m - n, 0)]
        response = nn.functional.pad(response, padding[::-1])
    exact, bias = exact_dtype(response), None if bias is None else exact_dtype(bias)
    if traced():
        return filter_reference(exact, transfer, bias, geometry.crop, around=geometry.circular).to(response.dtype)
    return filter_response(exact, transfer, bias, geometry.crop).to(response.dtype)
