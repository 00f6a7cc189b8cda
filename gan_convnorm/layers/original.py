"""ConvNorm with the arithmetic of the code of 2021, to compare with it."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.circular_grid import exact_dtype
from gan_convnorm.spectrum.power import autocorrelation, power_spectrum

__all__ = ["OriginalConvNorm2d"]


class OriginalConvNorm2d(nn.Conv2d):
    """Bounds ||Q_k|| <= 1 before an affine and a BatchNorm that undo it: the layer of the authors' code, as a whole.

    In this order (github.com/shengliu66/ConvNorm, models/prec_conv.py): full correlation and bias; multiplication by
    V_k = (S_k + eps)^(-1/2) on that grid, without gradient to the weights through V; crop; stride; a depthwise
    convolution of the kernel's size with torch's default initialization and a bias; BatchNorm. In evaluation V is a
    running average with the factor f_t = max((1 + cos(pi t / 40000)) / 2, 0.01), t from 1, started at zero. The buffer
    has the grid's shape, so a checkpoint evaluates at the resolution it was trained at and no other.

    The first eleven arguments are those of `torch.nn.Conv2d`.

    Args:
        eps: 0 in the authors' code.
        affine: with the depthwise convolution, and learned scale and shift in the BatchNorm.
        batch_norm: with the BatchNorm.
        momentum: a constant factor in place of f_t.

    Raises:
        BadInput: where the authors' code fails or is silently wrong: kernels that are not square and odd, dilation,
            padding above k - 1 or other than zeros; or an image of another resolution in evaluation.
    """

    running_preconditioner: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros"] = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        eps: float = 0.0,
        affine: bool = True,
        batch_norm: bool = True,
        momentum: float | None = None,
    ) -> None:
        arguments: tuple[Any, ...] = (in_channels, out_channels, kernel_size, stride, padding, dilation)
        super().__init__(*arguments, groups, bias, padding_mode, device, dtype)  # type: ignore[call-arg]
        k = self.kernel_size[0]
        fits = self.kernel_size == (k, k) and k % 2 == 1 and self.dilation == (1, 1) and padding_mode == "zeros"
        if not fits or isinstance(self.padding, str) or max(self.padding) > k - 1:
            raise BadInput(
                f"OriginalConvNorm2d: kernel {self.kernel_size}, padding {self.padding} ({padding_mode}), dilation "
                f"{self.dilation}; the code of 2021 works for odd square kernels, zero padding below the kernel's size "
                "and no dilation: use ConvNorm2d"
            )
        if eps < 0:
            raise BadInput(f"OriginalConvNorm2d: eps is {eps}, and must be zero or above")
        self.eps = eps
        self.momentum = momentum
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.affine = (
            nn.Conv2d(out_channels, out_channels, k, padding=(k - 1) // 2, groups=out_channels, **factory)
            if affine
            else nn.Identity()
        )
        self.batch_norm = nn.BatchNorm2d(out_channels, affine=affine, **factory) if batch_norm else nn.Identity()
        self.register_buffer("running_preconditioner", self.weight.new_zeros(1))
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.int64, device=device))

    def forward(self, input: Tensor) -> Tensor:
        reach = (self.kernel_size[0] - 1, self.kernel_size[1] - 1)
        response = nn.functional.conv2d(input, self.weight, self.bias, 1, reach, 1, self.groups)
        grid = response.shape[-2:]
        with torch.autocast(input.device.type, enabled=False):
            preconditioner = self._preconditioner((grid[0], grid[1]))
            spectrum = torch.fft.rfft2(exact_dtype(response)) * preconditioner
            filtered = torch.fft.irfft2(spectrum, s=grid).to(response.dtype)
        padding = [int(p) for p in self.padding]
        for axis, (r, p) in enumerate(zip(reach, padding, strict=True), start=2):
            filtered = filtered.narrow(axis, r - p, filtered.shape[axis] - 2 * (r - p))
        return self.batch_norm(self.affine(filtered[..., :: self.stride[0], :: self.stride[1]]))

    @torch.no_grad()
    def _preconditioner(self, grid: tuple[int, int]) -> Tensor:
        # One frequency is enough where the spectrum is flat.
        grid = (1, 1) if self.kernel_size == (1, 1) else grid
        average = self.running_preconditioner
        shape = (self.out_channels, grid[0], grid[1] // 2 + 1)
        if not self.training:
            if average.shape != shape:
                found = "not trained yet" if average.dim() == 1 else f"of a grid {tuple(average.shape[1:])}"
                raise BadInput(
                    f"OriginalConvNorm2d: the running average is {found}, the image needs {shape[1:]}; evaluate at the "
                    "resolution of the training, or use ConvNorm2d"
                )
            return average
        spectrum = power_spectrum(autocorrelation(exact_dtype(self.weight)), grid)
        current = (spectrum.clamp_min(0) + self.eps).rsqrt()
        self.num_batches_tracked += 1
        if self.momentum is None:
            progress = (self.num_batches_tracked.to(current.dtype) / 40_000).clamp_max(1)
            factor = ((1 + torch.cos(math.pi * progress)) / 2).clamp_min(0.01)
        else:
            factor = torch.as_tensor(self.momentum, dtype=current.dtype, device=current.device)
        average = average if average.shape == shape else torch.zeros_like(current)
        self.running_preconditioner = factor * current + (1 - factor) * average
        return current

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        saved = state_dict.get(prefix + "running_preconditioner")
        if saved is not None:
            self.running_preconditioner = self.running_preconditioner.new_zeros(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        return super().extra_repr() + f", eps={self.eps:g}"
