"""The filter of a ConvNorm layer on a circular grid: gain * r_k (*) F^-1[(S_k + eps)^(-1/2)]."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.execution import autocast_off, exact_dtype, traced
from gan_convnorm.fourier.power_spectrum import autocorrelation, direct_power_spectrum, place, power_spectrum
from gan_convnorm.fourier.roots import least_power
from gan_convnorm.layers.convnorm.geometry import Geometry
from gan_convnorm.layers.convnorm.options import ConvNormOptions
from gan_convnorm.layers.convnorm.truncation import Truncated, certified_taps, compose, radius_limit

__all__ = ["Preconditioned", "gain_factor", "gain_parameter", "gain_start"]

#: an eps below this many units of rounding (2e-6 in float32) needs the kernels' own transforms
EPS_OF_ROUNDING = 16
#: up to this many input channels per group, the kernels' own transforms are cheaper
FEW_INPUTS = 3
#: a learned gain starts at 1, or at this share of its limit if that is lower: at the limit it has no gradient
START = 0.9


class Preconditioned(nn.modules.conv._ConvNd):
    """Base class of all ConvNorm layers: the options, the learned factors and the preconditioner.

    With one input channel, the preconditioner is 1 / |DFT of the kernel|, up to eps.

    >>> from gan_convnorm.layers import ConvNorm1d
    >>> layer = ConvNorm1d(1, 1, 3)
    >>> layer.weight.data = torch.tensor([[[0.0, 1.0, 0.5]]])
    >>> (layer.transfer_function((8,)) * torch.fft.rfft(layer.weight[0], n=8).abs()).detach().round(decimals=2)
    tensor([[1., 1., 1., 1., 1.]])
    """

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
        """Draw weight and bias as torch's layer does. Start the affine as the identity, and a learned gain."""
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

    def respond(self, input: Tensor) -> tuple[Tensor, Geometry]:
        """Return the convolution of a batch on its whole grid, before the preconditioner, and its geometry."""
        raise NotImplementedError

    def power_spectrum(self, grid: tuple[int, ...]) -> Tensor:
        """Return S_k + eps on a circular grid, shape (C_out, *half grid), float32 or float64."""
        weight = self._kernels()
        weight = weight.detach() if self.options.gradient == "stop" else weight
        with autocast_off(weight.device):
            weight, stride = exact_dtype(weight), self._response_stride()
            # The autocorrelation's transform has rounding errors in proportion to max S_k, which must be small beside
            # eps: so it is in float64 where the device has it. With few input channels the direct way costs no more.
            tiny_eps = self.options.eps < EPS_OF_ROUNDING * torch.finfo(weight.dtype).eps
            if not self.is_pointwise() and (tiny_eps or weight.shape[1] <= FEW_INPUTS):
                spectrum = direct_power_spectrum(weight, grid, self.dilation, stride)
            else:
                wide = weight.dtype if weight.device.type == "mps" else torch.float64
                correlation = autocorrelation(weight, wide)
                spectrum = power_spectrum(correlation, grid, self.dilation, stride).to(weight.dtype)
        spectrum = spectrum.clamp_min(0) + self.options.eps
        return spectrum.clamp_min(least_power(spectrum.dtype)) if tiny_eps else spectrum

    def transfer_function(self, grid: tuple[int, ...]) -> Tensor:
        """Return gain * F[r_k] * (S_k + eps)^(-1/2) on a circular grid.

        Args:
            grid: size of the grid, in strided pixels with strided="fold".

        Returns:
            Shape (C_out, *grid) with the last N as N // 2 + 1, in the layout of `torch.fft.rfftn`; float32 or float64.
            It is complex only with a depthwise affine.
        """
        return self.transfer(self.power_spectrum(grid), grid)

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
        """Return few taps in place of (S_k + eps)^(-1/2), without affine and gain; None if no radius is certified."""
        # A choice by value would break a traced graph. There the exact filter meets every tolerance.
        if not self.options.tolerance or spectrum.device.type == "meta" or traced():
            return None
        limit = radius_limit(spectrum.device) if self.options.max_radius is None else self.options.max_radius
        return certified_taps(spectrum, grid, self.options.tolerance, limit, [k > 1 for k in self.kernel_size])

    def with_affine(self, taps: Tensor) -> tuple[Tensor, list[int]]:
        """Return the taps of the preconditioner with gain and affine, and how many stand before the origin."""
        taps = taps * self._gain()
        if self.affine_weight is None:
            return taps, [n // 2 for n in taps.shape[1:]]
        return compose(taps, exact_dtype(self.affine_weight))

    def is_pointwise(self) -> bool:
        """Return True if the kernel has a single tap."""
        return all(k == 1 for k in self.kernel_size)

    def pointwise_weight(self) -> Tensor:
        """Return the plain convolution's weight for a 1x1 layer: its power spectrum is flat, so P_k is a factor."""
        ones = (1,) * len(self.kernel_size)
        with autocast_off(self.weight.device):
            kernels = exact_dtype(self._kernels()) * self.transfer_function(ones).real.unsqueeze(1)
        return self._stored(kernels).to(self.weight.dtype)

    def _gain(self) -> float | Tensor:
        return gain_factor(self.options.gain, self.options.max_gain, self.out_channels // self.groups, self.gain_logit)

    def _response_stride(self) -> tuple[int, ...]:
        return self.stride if self.options.strided == "fold" else (1,) * len(self.stride)

    def _kernels(self) -> Tensor:
        """Return the weight as (C_out, C_in / groups, *kernel_size)."""
        return self.weight

    def _stored(self, kernels: Tensor) -> Tensor:
        """Return kernels in the layout of the weight: the inverse of `_kernels`."""
        return kernels

    @override
    def extra_repr(self) -> str:
        return ", ".join([super().extra_repr(), *(f"{name}={value!r}" for name, value in self.options.shown().items())])


def gain_parameter(gain: float | str, max_gain: float | None, channels: int, like: Tensor) -> nn.Parameter | None:
    """Return theta of a learned gain, a scalar with the dtype and the device of `like`; None for the other gains.

    >>> gain_parameter("learned", 2.0, 1, torch.zeros(1)).shape
    torch.Size([])
    """
    return nn.Parameter(like.new_tensor(gain_start(max_gain, channels))) if gain == "learned" else None


def gain_start(max_gain: float | None, channels: int) -> float:
    """Return the theta with which a learned gain starts.

    >>> round(gain_start(2.0, 1), 3)
    0.0
    """
    share = min(START, 1 / _limit(max_gain, channels))
    return math.log(share / (1 - share))


def gain_factor(gain: float | str, max_gain: float | None, channels: int, parameter: Tensor | None) -> float | Tensor:
    """Return the number that multiplies every channel.

    A channel has norm at most 1 before, so the layer's norm is at most this number times sqrt(channels): 1 with
    "lipschitz", and max_gain * sigmoid(theta) with "learned".

    >>> gain_factor("lipschitz", None, 4, None)
    0.5
    """
    if gain == "lipschitz":
        return 1 / math.sqrt(channels)
    if parameter is not None:
        return _limit(max_gain, channels) * torch.sigmoid(exact_dtype(parameter))
    return float(gain)


def _limit(max_gain: float | None, channels: int) -> float:
    return (1.0 if max_gain is None else max_gain) / math.sqrt(channels)
