"""ConvNorm with the arithmetic of the authors' code of 2021, for comparisons."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.execution import autocast_off, exact_dtype, memory_format_of, transformed
from gan_convnorm.fourier.power_spectrum import direct_power_spectrum
from gan_convnorm.fourier.real_transform import to_pixels, to_spectrum
from gan_convnorm.layers.arguments import as_batch, check_choice, check_number, checked_geometry
from gan_convnorm.layers.like import adopt
from gan_convnorm.layers.parametrized import recomputing
from gan_convnorm.layers.reading_weight import one_weight

__all__ = ["OriginalConvNorm2d", "convnorm_2021"]

#: input channels whose kernels are transformed at once
CHANNELS = 16


class OriginalConvNorm2d(nn.Conv2d):
    """The whole layer of the authors' code: ||Q_k|| <= 1 holds only before its affine and its BatchNorm.

    The layer has these steps, in this order (github.com/shengliu66/ConvNorm, models/prec_conv.py):

    1. the full correlation, plus the bias;
    2. the product with V_k = (S_k + eps)^(-1/2) on its grid, without a gradient to the weights through V;
    3. the crop, then the stride;
    4. a depthwise convolution of the kernel's size, with torch's default initialization and a bias;
    5. BatchNorm.

    In evaluation V is a running average, V <- f_t V_t + (1 - f_t) V with f_t = max((1 + cos(pi t / 40000)) / 2, 0.01)
    and t from 1. It starts at zero. The buffer has the grid's shape, so a checkpoint evaluates at the resolution of its
    training and at no other. A copy of the network whose weights are averaged must be made after the first forward.

    S_k is the sum over the kernels' own transforms, as in the authors' code: with eps = 0 nothing else keeps it above
    zero. At frequencies with S_k = 0 this layer takes V_k = 0; the authors' V_k is infinite there. The first eleven
    arguments are those of `torch.nn.Conv2d`.

    Args:
        eps: 0 in the authors' code.
        affine: True for step 4, and for a learned scale and shift in the BatchNorm.
        batch_norm: True for step 5.
        momentum: a constant factor in place of f_t, above 0 and at most 1.

    Raises:
        BadInput: an option value or a geometry that no layer has; a geometry with which the authors' code fails or is
            silently wrong (kernels that are not square and odd, dilation, padding above k - 1 or other than zeros). In
            evaluation: an image of another resolution, or torch.export with a dynamic height or width.

    >>> OriginalConvNorm2d(3, 8, 3, padding=1)(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 8, 8, 8])
    """

    #: `files.weights.check_weights` takes them in any shape
    image_sized_buffers = ("running_preconditioner",)

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
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        *,
        eps: float = 0.0,
        affine: bool = True,
        batch_norm: bool = True,
        momentum: float | None = None,
    ) -> None:
        name, sizes = "OriginalConvNorm2d", (in_channels, out_channels, kernel_size)
        geometry = checked_geometry(name, 2, *sizes, stride, padding, dilation, groups, padding_mode)
        size, pads, spacing = (
            tuple(value) if isinstance(value, (tuple, list)) else (value, value)
            for value in (kernel_size, padding, dilation)
        )
        fits = size[0] == size[1] and size[0] % 2 == 1 and spacing == (1, 1) and padding_mode == "zeros"
        if not fits or isinstance(padding, str) or max(pads) > size[0] - 1:
            raise BadInput(
                f"{name}: kernel {size}, padding {padding} ({padding_mode}), dilation {spacing}; the code of 2021 "
                "works for odd square kernels, zero padding below the kernel's size and no dilation: use ConvNorm2d"
            )
        check_number(name, "eps", eps, least=0)
        check_choice(name, "affine", affine, (True, False))
        check_choice(name, "batch_norm", batch_norm, (True, False))
        if momentum is not None:
            check_number(name, "momentum", momentum, above=0, most=1)
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        super().__init__(**geometry, bias=bias, **factory)
        k = self.kernel_size[0]
        self.eps = eps
        self.momentum = momentum
        self.affine = (
            nn.Conv2d(out_channels, out_channels, k, padding=(k - 1) // 2, groups=out_channels, **factory)
            if affine
            else nn.Identity()
        )
        self.batch_norm = nn.BatchNorm2d(out_channels, affine=affine, **factory) if batch_norm else nn.Identity()
        self.register_buffer("running_preconditioner", self.weight.new_zeros(1))
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.int64, device=device))

    def reset_parameters(self) -> None:
        """Draw all weights as a new layer does, those of affine and BatchNorm too, and forget the running average."""
        super().reset_parameters()
        if "running_preconditioner" not in self._buffers:
            return  # torch's constructor draws before there are more
        for part in (self.affine, self.batch_norm):
            if not isinstance(part, nn.Identity):
                part.reset_parameters()
        self.running_preconditioner = self.running_preconditioner.new_zeros(1)
        self.num_batches_tracked.zero_()

    @override
    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4 or input.shape[1] != self.in_channels:
            return self.forward(as_batch("OriginalConvNorm2d", input, self.in_channels, 2)).squeeze(0)
        with one_weight(self):
            filtered = self._filtered(input)
        return self.batch_norm(self.affine(filtered))

    def _filtered(self, input: Tensor) -> Tensor:
        """Return the output before affine and BatchNorm."""
        reach = (self.kernel_size[0] - 1, self.kernel_size[1] - 1)
        response = nn.functional.conv2d(input, self.weight, self.bias, 1, reach, 1, self.groups)
        memory_format, axes = memory_format_of(response), (-2, -1)
        grid = (response.shape[2], response.shape[3])
        with autocast_off(input.device):
            spectrum = to_spectrum(exact_dtype(response), axes) * self._preconditioner(grid)
            filtered = to_pixels(spectrum, grid, axes).to(response.dtype)
        padding = [int(p) for p in self.padding]
        for axis, (r, p) in enumerate(zip(reach, padding, strict=True), start=2):
            filtered = filtered.narrow(axis, r - p, filtered.shape[axis] - 2 * (r - p))
        return filtered[..., :: self.stride[0], :: self.stride[1]].contiguous(memory_format=memory_format)

    @torch.no_grad()
    def _preconditioner(self, grid: tuple[int, int]) -> Tensor:
        # One frequency is enough where the spectrum is flat.
        grid = (1, 1) if self.kernel_size == (1, 1) else grid
        average = self.running_preconditioner
        shape = (self.out_channels, grid[0], grid[1] // 2 + 1)
        if not self.training:
            if any(isinstance(n, torch.SymInt) for n in grid):
                raise BadInput(
                    "OriginalConvNorm2d: found a dynamic height or width; the layer is exported for the resolution of "
                    "its training alone: leave the batch dynamic, or use ConvNorm2d"
                )
            if average.shape != shape:
                # Sizes are tensors while a tracer runs.
                found = "not trained yet" if average.dim() == 1 else f"of a grid {tuple(map(int, average.shape[1:]))}"
                needed = tuple(map(int, shape[1:]))
                raise BadInput(
                    f"OriginalConvNorm2d: the running average is {found}, the image needs {needed}; evaluate at the "
                    "resolution of the training, or use ConvNorm2d"
                )
            return average
        # A few input channels at a time: all the kernels' transforms at once would be as large as the authors'.
        parts = exact_dtype(self.weight).split(CHANNELS, dim=1)
        power = torch.stack([direct_power_spectrum(part, grid) for part in parts]).sum(0) + self.eps
        # A kernel without power at a frequency has no response there either, and the authors' infinity times zero.
        current = torch.where(power > 0, power.rsqrt(), 0)
        if recomputing() or transformed():
            return current
        self.num_batches_tracked += 1
        if self.momentum is None:
            progress = (self.num_batches_tracked.to(current.dtype) / 40_000).clamp_max(1)
            factor = ((1 + torch.cos(math.pi * progress)) / 2).clamp_min(0.01)
        else:
            factor = torch.as_tensor(self.momentum, dtype=current.dtype, device=current.device)
        before = average if average.shape == shape else torch.zeros_like(current)
        updated = factor * current + (1 - factor) * before
        if average.dtype == updated.dtype and not torch.compiler.is_compiling():
            # In place: a replica of nn.DataParallel shares the buffer's memory and loses its own attributes.
            average.resize_(shape).copy_(updated)
        else:
            self.running_preconditioner = updated
        return current

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: object) -> None:
        saved = state_dict.get(prefix + "running_preconditioner")
        if saved is not None:
            self.running_preconditioner = self.running_preconditioner.new_zeros(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)

    @override
    def extra_repr(self) -> str:
        return super().extra_repr() + f", eps={self.eps:g}"


def convnorm_2021(conv: nn.Module, *, eps: float = 1e-4, affine: bool = True, batch_norm: bool = True) -> nn.Module:
    """Return the layer of the authors' code (`OriginalConvNorm2d`) with a convolution's weights and geometry.

    Args:
        conv: `nn.Conv2d`.
        eps: as in `OriginalConvNorm2d`. Its default there is 0, which amplifies near-zeros of S_k without limit.
        affine: as in `OriginalConvNorm2d`.
        batch_norm: as in `OriginalConvNorm2d`.

    Raises:
        BadInput: another module, or an option value or a geometry that the layer does not have.

    >>> type(convnorm_2021(nn.Conv2d(3, 8, 3))).__name__
    'OriginalConvNorm2d'
    """
    if not isinstance(conv, nn.Conv2d):
        raise BadInput(f"convnorm_2021: found {type(conv).__name__}, and can take Conv2d")
    return adopt(conv, OriginalConvNorm2d, eps=eps, affine=affine, batch_norm=batch_norm)
