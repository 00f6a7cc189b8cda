"""ConvNorm: every output channel of a convolution becomes a tight frame."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.spectrum.power import autocorrelation, power_spectrum

__all__ = ["ConvNorm2d", "LinearRowNorm", "convnorm", "convnorm_linear"]


class ConvNorm2d(nn.Conv2d):
    r"""Bounds each channel's circular operator, ||Q_k|| <= 1, and so the layer's, ||Q|| <= sqrt(C_out / groups).

    Convolutional Normalization (Liu et al., NeurIPS 2021, arXiv:2103.00673, eq. 5-7) divides output channel k by the
    square root of its kernels' power spectrum. With zero padding made wide enough that linear and circular
    convolution agree on a grid of H + 2P - d(k-1) pixels, P = max(padding, d(k-1)):

        S_k(w) = sum_j |F a_kj (w)|^2
        z_k    = gain * r_k (*) F^-1[(S_k + eps)^(-1/2)] (*) sum_j a_kj (*) x_j

    cropped to the layer's padding, then strided, then the bias is added. As eps -> 0, Q_k Q_k^T = I on the grid; the
    embedding of the input, the crop and the stride only lower a norm. The bound on the stacked Q is tight (equal
    kernels in every channel). It is of Q: a learned r_k (`affine`) is free to undo it.

    The spectrum is a function of the weights alone, so evaluation is exact at every resolution and nothing but the
    weights is stored. Its gradient flows to the weights. Spectra and transforms are float32 (or float64) under
    autocast. Input and output shapes and the first nine arguments are those of `torch.nn.Conv2d`.

    Args:
        padding_mode: only "zeros".
        eps: added to S_k, in its units (squared weights). With eps = 0 a spectral zero of the kernels is amplified
            without limit.
        gain: a fixed factor, or "lipschitz" for sqrt(groups / C_out), with which ||Q|| <= 1 is certified.
        affine: r_k: None; "channel", one learned factor per channel; "depthwise", a learned k_h x k_w filter per
            channel on the same grid. Both start as the identity.
        running_average: evaluate with a running average, as the original code does, with its factor
            f_t = max((1 + cos(pi t / 40000)) / 2, 0.01). Averaged is the autocorrelation, whose shape is fixed (the
            original averages (S_k + eps)^(-1/2), whose shape follows the input).

    Raises:
        BadInput: unknown option values, or in the forward an image that is smaller than the kernel (a ValueError).
    """

    affine_weight: nn.Parameter | None
    running_autocorrelation: Tensor
    num_updates: Tensor

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
        padding_mode: Literal["zeros"] = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        eps: float = 1e-4,
        gain: float | Literal["lipschitz"] = 1.0,
        affine: Literal["channel", "depthwise"] | None = None,
        running_average: bool = False,
    ) -> None:
        if padding_mode != "zeros":
            raise BadInput(f"ConvNorm2d: padding_mode is {padding_mode!r}, and only 'zeros' is supported")
        _check_options("ConvNorm2d", eps, gain)
        if affine not in (None, "channel", "depthwise"):
            raise BadInput(f"ConvNorm2d: affine is {affine!r}, and must be None, 'channel' or 'depthwise'")
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )
        self.eps = eps
        self.gain = gain
        self.affine = affine
        self.running_average = running_average
        if affine is None:
            self.register_parameter("affine_weight", None)
        else:
            size = self.kernel_size if affine == "depthwise" else (1, 1)
            self.affine_weight = nn.Parameter(self.weight.new_zeros(out_channels, *size))
            with torch.no_grad():
                self.affine_weight[:, (size[0] - 1) // 2, (size[1] - 1) // 2] = 1
        if running_average:
            lags = (2 * self.kernel_size[0] - 1, 2 * self.kernel_size[1] - 1)
            self.register_buffer("running_autocorrelation", self.weight.new_zeros(out_channels, *lags))
            self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64, device=device))

    def transfer_function(self, grid: tuple[int, int]) -> Tensor:
        """gain * F[r_k] * (S_k + eps)^(-1/2) on a circular grid.

        Args:
            grid: height and width N_h, N_w of the grid.

        Returns:
            Shape (C_out, N_h, N_w // 2 + 1), in the layout of `torch.fft.rfft2`; complex only with a depthwise affine.
        """
        correlation = autocorrelation(self.weight)
        if self.running_average:
            if self.training:
                self._update_running_average(correlation)
            else:
                correlation = self.running_autocorrelation
        spectrum = power_spectrum(correlation, grid, self.dilation)  # type: ignore[arg-type]
        # Rounding can leave a spectral zero slightly negative.
        transfer = (spectrum.clamp_min(0) + self.eps).rsqrt()
        transfer = transfer * _gain_factor(self.gain, self.out_channels // self.groups)
        if self.affine_weight is not None:
            response = self.affine_weight if self.affine == "channel" else _filter_response(self.affine_weight, grid)
            transfer = transfer * response
        return transfer

    @torch.no_grad()
    def _update_running_average(self, correlation: Tensor) -> None:
        self.num_updates.add_(1)
        progress = (self.num_updates.to(correlation.dtype) / 40_000).clamp_max(1)
        factor = ((1 + torch.cos(math.pi * progress)) / 2).clamp_min(0.01)
        self.running_autocorrelation.lerp_(correlation, factor)

    def forward(self, input: Tensor) -> Tensor:
        if self.kernel_size == (1, 1):
            return self._forward_pointwise(input)
        before, after = zip(*self._padding_pairs(), strict=True)
        # The full correlation, or the layer's own padding where that is wider.
        reach = [
            max(d * (k - 1), b, a) for d, k, b, a in zip(self.dilation, self.kernel_size, before, after, strict=True)
        ]
        response = nn.functional.conv2d(input, self.weight, None, 1, reach, self.dilation, self.groups)
        grid = (response.shape[-2], response.shape[-1])
        with torch.autocast(input.device.type, enabled=False):
            exact = response.float() if response.dtype in (torch.float16, torch.bfloat16) else response
            filtered = torch.fft.irfft2(torch.fft.rfft2(exact) * self.transfer_function(grid), s=grid)
            rows, columns = (
                slice(r - b, n - (r - a), s)
                for r, b, a, n, s in zip(reach, before, after, grid, self.stride, strict=True)
            )
            output = filtered[..., rows, columns]
            if 0 in output.shape[-2:]:
                size = tuple(input.shape[-2:])
                raise BadInput(f"ConvNorm2d: an image of {size} pixels with padding {self.padding} is below the kernel")
            if self.bias is not None:
                output = output + self.bias[:, None, None]
        return output.to(response.dtype)

    def _forward_pointwise(self, input: Tensor) -> Tensor:
        """A 1x1 kernel's spectrum is flat, so its preconditioner is a factor on each row of the weight."""
        with torch.autocast(input.device.type, enabled=False):
            weight = self.weight * self.transfer_function((1, 1)).real.unsqueeze(1)
        return self._conv_forward(input, weight, self.bias)

    def _padding_pairs(self) -> list[tuple[int, int]]:
        """Padding before and after, for height and width."""
        if self.padding == "valid":
            return [(0, 0), (0, 0)]
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [(total // 2, total - total // 2) for total in totals]
        return [(int(p), int(p)) for p in self.padding]

    def extra_repr(self) -> str:
        options = f", eps={self.eps:g}, gain={self.gain!r}, affine={self.affine!r}"
        return super().extra_repr() + options + (", running_average=True" if self.running_average else "")


class LinearRowNorm(nn.Linear):
    """Bounds each row, ||w_k|| <= 1, and so ||W|| <= sqrt(out_features): `ConvNorm2d` of a 1x1 kernel on one pixel.

    Args:
        in_features: as in `torch.nn.Linear`.
        out_features: as in `torch.nn.Linear`.
        bias: as in `torch.nn.Linear`.
        device: as in `torch.nn.Linear`.
        dtype: as in `torch.nn.Linear`.
        eps: added to ||w_k||^2.
        gain: a fixed factor, or "lipschitz" for 1 / sqrt(out_features).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        eps: float = 1e-4,
        gain: float | Literal["lipschitz"] = 1.0,
    ) -> None:
        _check_options("LinearRowNorm", eps, gain)
        super().__init__(in_features, out_features, bias, device, dtype)
        self.eps = eps
        self.gain = gain

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            scale = (self.weight.square().sum(dim=1, keepdim=True) + self.eps).rsqrt()
            weight = self.weight * (scale * _gain_factor(self.gain, self.out_features))
        return nn.functional.linear(input, weight, self.bias)

    def extra_repr(self) -> str:
        return super().extra_repr() + f", eps={self.eps:g}, gain={self.gain!r}"


def convnorm(
    conv: nn.Conv2d,
    *,
    eps: float = 1e-4,
    gain: float | Literal["lipschitz"] = 1.0,
    affine: Literal["channel", "depthwise"] | None = "depthwise",
    running_average: bool = False,
) -> ConvNorm2d:
    """Bounds ||Q_k|| <= 1 in a network's convolution: the `ConvNorm2d` that takes over its weights and geometry.

    The options are those of `ConvNorm2d`; the defaults are the setting that trains a discriminator best
    (docs/results/convnorm_defaults.md).
    """
    layer = ConvNorm2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        conv.dilation,  # type: ignore[arg-type]
        conv.groups,
        conv.bias is not None,
        conv.padding_mode,  # type: ignore[arg-type]
        conv.weight.device,
        conv.weight.dtype,
        eps=eps,
        gain=gain,
        affine=affine,
        running_average=running_average,
    )
    layer.weight, layer.bias = conv.weight, conv.bias
    return layer


def convnorm_linear(linear: nn.Linear, *, eps: float = 1e-4, gain: float | Literal["lipschitz"] = 1.0) -> LinearRowNorm:
    """Bounds every row, ||w_k|| <= 1, in a network's linear layer: the `LinearRowNorm` with its weights."""
    layer = LinearRowNorm(
        linear.in_features,
        linear.out_features,
        linear.bias is not None,
        linear.weight.device,
        linear.weight.dtype,
        eps=eps,
        gain=gain,
    )
    layer.weight, layer.bias = linear.weight, linear.bias
    return layer


def _check_options(layer: str, eps: float, gain: float | str) -> None:
    if eps < 0:
        raise BadInput(f"{layer}: eps is {eps}, and must be zero or above")
    if isinstance(gain, str) and gain != "lipschitz":
        raise BadInput(f"{layer}: gain is {gain!r}, and must be a number or 'lipschitz'")


def _gain_factor(gain: float | str, channels: int) -> float:
    """The factor of a gain; "lipschitz" makes the stack of so many channels of norm one have norm one."""
    return 1 / math.sqrt(channels) if gain == "lipschitz" else float(gain)


def _filter_response(taps: Tensor, grid: tuple[int, int]) -> Tensor:
    """DFT of (C, k_h, k_w) filters on a circular grid: centre tap at the origin, `conv2d`'s correlation convention."""
    height, width = taps.shape[-2:]
    row = ((height - 1) // 2 - torch.arange(height, device=taps.device)) % grid[0]
    column = ((width - 1) // 2 - torch.arange(width, device=taps.device)) % grid[1]
    position = (row[:, None] * grid[1] + column[None, :]).flatten()
    placed = taps.new_zeros(taps.shape[0], grid[0] * grid[1]).index_add(1, position, taps.flatten(1))
    return torch.fft.rfft2(placed.unflatten(1, grid))
