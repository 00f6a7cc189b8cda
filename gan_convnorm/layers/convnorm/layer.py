"""ConvNorm: every output channel of a convolution becomes a tight frame."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from gan_convnorm.fourier.circular_grid import memory_format_of, traced
from gan_convnorm.fourier.convolution import convolve_in_fourier
from gan_convnorm.fourier.tap_responses import tap_responses
from gan_convnorm.layers.arguments import check_convolution, check_images
from gan_convnorm.layers.convnorm.geometry import Geometry, convolution_geometry
from gan_convnorm.layers.convnorm.preconditioned import Preconditioned, check_options
from gan_convnorm.layers.gain import Gain

__all__ = ["ConvNorm1d", "ConvNorm2d", "ConvNorm3d"]

#: pixels a side up to which transforms by matrix products (`matrix_transform.py`) are worth while
LARGEST_GRID = 192


class _ConvNorm(Preconditioned):
    """The layers that convolve, as opposed to the transposed one."""

    dims: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "circular", "reflect", "replicate"] = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        eps: float = 1e-4,
        gain: Gain = 1.0,
        affine: Literal["channel", "depthwise"] | None = None,
        gradient: Literal["full", "stop"] = "full",
        strided: Literal["subsample", "fold"] = "subsample",
        tolerance: float = 0.0,
        boundary: Literal["circular", "linear"] = "circular",
        max_radius: int | None = None,
        max_gain: float | None = None,
    ) -> None:
        geometry: dict[str, Any] = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
        geometry |= {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
        geometry["padding_mode"] = padding_mode
        check_convolution(type(self).__name__, self.dims, **geometry)
        options: tuple[Any, ...] = (eps, gain, affine, gradient, strided, tolerance, boundary, max_radius, max_gain)
        check_options(type(self).__name__, padding_mode, *options)
        super().__init__(bias=bias, device=device, dtype=dtype, **geometry)
        self._set_options(*options)

    def forward(self, input: Tensor, pool: int = 1) -> Tensor:
        """Return the layer's output; with `pool` its averages over boxes of that side, which cost less.

        Raises:
            BadInput: an input that is no batch of images and no image of the layer's channels, or one below the kernel.
        """
        check_images(type(self).__name__, input, self.in_channels, self.dims)
        if input.dim() == self.dims + 1:
            return self.forward(input.unsqueeze(0), pool).squeeze(0)
        if self.is_pointwise():
            return self._pool(self._conv_forward(input, self.pointwise_weight(), self.bias), pool)
        input, geometry = self._pad(input)
        spectrum = self.spectrum(geometry.grid)
        truncated = self._truncate(spectrum, geometry.grid)
        if truncated is None and self._fourier_pays(input, geometry):
            return self._forward_in_fourier(input, spectrum, geometry, pool)
        return self._pool(self._filter(self._convolve(input, geometry), spectrum, truncated, geometry), pool)

    def respond(self, input: Tensor) -> tuple[Tensor, Geometry]:
        input, geometry = self._pad(input)
        return self._convolve(input, geometry), geometry

    def _pad(self, input: Tensor) -> tuple[Tensor, Geometry]:
        """The image that is convolved, padded by reflection or replication, and the geometry of its response."""
        padding = self._padding_pairs()
        if self.padding_mode in ("reflect", "replicate"):
            input = nn.functional.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = [(0, 0)] * len(padding)
        geometry = convolution_geometry(
            type(self).__name__,
            input.shape[2:],
            self.kernel_size,
            self.stride,
            padding,
            self.dilation,
            circular=self.padding_mode == "circular",
            fold=self.strided == "fold",
            linear=self.boundary == "linear",
        )
        return input, geometry

    def _convolve(self, input: Tensor, geometry: Geometry) -> Tensor:
        padding: tuple[int, ...] | int = geometry.padding
        if self.padding_mode == "circular":
            memory_format = memory_format_of(input)
            for axis, (before, n, s, k, d) in enumerate(
                zip(geometry.padding, geometry.size, geometry.stride, self.kernel_size, self.dilation, strict=True),
                start=2,
            ):
                last = s * (n - 1) + d * (k - 1) - before
                index = torch.arange(-before, last + 1, device=input.device) % input.shape[axis]
                input = input.index_select(axis, index)
            input, padding = input.contiguous(memory_format=memory_format), 0
        convolve = (nn.functional.conv1d, nn.functional.conv2d, nn.functional.conv3d)[len(self.kernel_size) - 1]
        return convolve(input, self.weight, None, geometry.stride, padding, self.dilation, self.groups)

    def _fourier_pays(self, input: Tensor, geometry: Geometry) -> bool:
        """Whether the kernels' spectra are few beside the images' (docs/results/convnorm_cost.md).

        On a GPU a convolution is so much faster than a complex matrix product that nothing is to be gained, and there
        the products of the transforms would be as exact as float32_matmul_precision lets them be.
        """
        if self.groups > 1 or any(s > 1 for s in geometry.stride):
            return False
        if input.dtype not in (torch.float32, torch.float64) or input.dtype != self.weight.dtype:
            return False
        if input.device.type != "cpu" or torch.is_autocast_enabled("cpu") or traced():
            return False
        if max(geometry.grid) > LARGEST_GRID:
            return False
        return self.in_channels * self.out_channels <= 2 * input.shape[0] * (self.in_channels + self.out_channels)

    def _forward_in_fourier(self, input: Tensor, spectrum: Tensor, geometry: Geometry, pool: int) -> Tensor:
        grid, steps = geometry.grid, [step for _, _, step in geometry.crop]
        if pool > 1 and any(step > 1 for step in steps):
            return self._pool(self._forward_in_fourier(input, spectrum, geometry, 1), pool)
        steps = [step * pool for step in steps]
        # The output starts at the grid's first pixel, so that a fold's pixels are the wanted ones.
        offset = [p - first for p, (first, _, _) in zip(geometry.padding, geometry.crop, strict=True)]
        fold = tuple(s if n % s == 0 else 1 for n, s in zip(grid, steps, strict=True))
        counts = [count // pool for _, count, _ in geometry.crop]
        crop = tuple((0, count, s // f) for count, s, f in zip(counts, steps, fold, strict=True))
        folded = tuple(n // f for n, f in zip(grid, fold, strict=True))
        transfer = self._transfer(spectrum, grid)
        responses = tap_responses(transfer, self.kernel_size, grid, self.dilation, offset, fold, pool)
        return convolve_in_fourier(input, self.weight, responses, self.bias, folded, fold, crop)

    def _pool(self, output: Tensor, pool: int) -> Tensor:
        if pool == 1:
            return output
        average = (nn.functional.avg_pool1d, nn.functional.avg_pool2d, nn.functional.avg_pool3d)
        return average[len(self.kernel_size) - 1](output, pool)

    def _padding_pairs(self) -> list[tuple[int, int]]:
        """Padding before and after, for every dimension."""
        if self.padding == "valid":
            return [(0, 0)] * len(self.kernel_size)
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [(total // 2, total - total // 2) for total in totals]
        return [(int(p), int(p)) for p in self.padding]


class ConvNorm2d(_ConvNorm, nn.Conv2d):
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
    weights is stored. Spectra and transforms are float32 (or float64) under autocast. Input and output shapes and the
    first eleven arguments are those of `torch.nn.Conv2d`.

    Args:
        padding_mode: with "circular" the image is its own grid. With "reflect" and "replicate" the padded image is
            the input, and the bound is of what follows the padding (which itself enlarges norms). A circular padding
            so wide that pixels are read twice enlarges them too.
        eps: added to S_k, in its units (squared weights). With eps = 0 a spectral zero of the kernels is amplified
            without limit, down to a power of 7e-16 (in float64, 5e-124): below, a kernel is taken for zero.
        gain: a fixed factor; "lipschitz" for sqrt(groups / C_out), with which ||Q|| <= 1 is certified; or "learned", a
            scalar under a cap: max_gain * sqrt(groups / C_out) * sigmoid(theta), with which ||Q|| <= max_gain is.
        affine: r_k: None; "channel", one learned factor per channel; "depthwise", a learned filter of the kernel's
            size per channel on the same grid. Both start as the identity.
        gradient: "full" takes the gradient through S_k; "stop" takes S_k for a constant, as the code of 2021 does.
        strided: what a layer with a stride preconditions. "subsample" is the definition above: the convolution at
            every pixel, of which every stride-th is kept. "fold" is the strided convolution itself, on its coarse
            grid, with its own spectrum, S_k folded: the nearest tight frame to it, at the strided convolution's cost.
        tolerance: 0 for exact. Otherwise the preconditioner's taps are cut at the smallest radius whose error is
            certified, ||P'_k - P_k|| <= tolerance * ||P_k||, checked in every forward; where no radius up to
            `max_radius` is within it, and in compiled graphs, the layer is exact. ||Q_k|| <= 1 holds for the cut one.
        boundary: the grid's. "circular" wraps around, as in the definition; "linear" has a grid of twice the size, on
            which nothing read has gone around: the crop of the operator on the infinite grid.
        max_radius: limit for the taps; by default the largest that is faster than the exact filter on the device.
        max_gain: the cap of gain "learned", 1 when not given.

    Raises:
        BadInput: a geometry or an option value that no layer has (a ValueError).
    """

    dims = 2


class ConvNorm1d(_ConvNorm, nn.Conv1d):
    """Bounds each channel's circular operator, ||Q_k|| <= 1: `ConvNorm2d` for sequences, in place of `nn.Conv1d`."""

    dims = 1


class ConvNorm3d(_ConvNorm, nn.Conv3d):
    """Bounds each channel's circular operator, ||Q_k|| <= 1: `ConvNorm2d` for volumes, in place of `nn.Conv3d`."""

    dims = 3
