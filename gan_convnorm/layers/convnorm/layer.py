"""ConvNorm: every output channel of a convolution becomes a tight frame."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Unpack

import torch
from torch import Tensor, nn

from gan_convnorm.layers.arguments import check_convolution, check_images
from gan_convnorm.layers.convnorm.geometry import Geometry, convolution_geometry
from gan_convnorm.layers.convnorm.options import ConvNormKeywords, ConvNormOptions
from gan_convnorm.layers.convnorm.preconditioned import Preconditioned
from gan_convnorm.layers.convnorm.strategies import choose, full_response, pooled

__all__ = ["ConvNorm1d", "ConvNorm2d", "ConvNorm3d"]


class ConvNormLayer(Preconditioned):
    """Base class of the layers that convolve, which the transposed one does not."""

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
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[ConvNormKeywords],
    ) -> None:
        geometry: dict[str, Any] = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
        geometry |= {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
        geometry["padding_mode"] = padding_mode
        check_convolution(type(self).__name__, self.dims, **geometry)
        checked = ConvNormOptions.of(type(self).__name__, **options)
        super().__init__(bias=bias, device=device, dtype=dtype, **geometry)
        self._set_options(checked)

    def forward(self, input: Tensor, pool: int = 1) -> Tensor:
        """Return the layer's output; with `pool` its averages over boxes of that side, which cost less.

        An input of another shape, or one below the kernel, is refused with `BadInput`.
        """
        check_images(type(self).__name__, input, self.in_channels, self.dims)
        if input.dim() == self.dims + 1:
            return self.forward(input.unsqueeze(0), pool).squeeze(0)
        if self.is_pointwise():
            return pooled(self._conv_forward(input, self.pointwise_weight(), self.bias), pool)
        input, geometry = self._pad(input)
        strategy = choose(self, input, geometry)
        return strategy(self, input, geometry, self.spectrum(geometry.grid), pool)

    def respond(self, input: Tensor) -> tuple[Tensor, Geometry]:
        """Return the convolution of a batch on all of its grid, before the preconditioner, and its geometry."""
        input, geometry = self._pad(input)
        return full_response(self, input, geometry), geometry

    def _pad(self, input: Tensor) -> tuple[Tensor, Geometry]:
        """Return the input, padded where the layer pads by reflection or replication, and its response's geometry."""
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
            fold=self.options.strided == "fold",
            linear=self.options.boundary == "linear",
        )
        return input, geometry

    def _padding_pairs(self) -> list[tuple[int, int]]:
        """Return the padding before and after, for every dimension."""
        if self.padding == "valid":
            return [(0, 0)] * len(self.kernel_size)
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [(total // 2, total - total // 2) for total in totals]
        return [(int(p), int(p)) for p in self.padding]


class ConvNorm2d(ConvNormLayer, nn.Conv2d):
    r"""A convolution with bounded channels, ||Q_k|| <= 1, and so a bounded layer, ||Q|| <= sqrt(C_out / groups).

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
        **options: eps, gain, affine, gradient, strided, tolerance, boundary, max_radius and max_gain; see
            `ConvNormOptions` for their meaning and defaults.

    Raises:
        BadInput: a geometry or an option value that no layer has (a ValueError).

    >>> layer = ConvNorm2d(3, 8, 3, padding=1)
    >>> layer(torch.zeros(2, 3, 16, 16)).shape
    torch.Size([2, 8, 16, 16])
    """

    dims = 2


class ConvNorm1d(ConvNormLayer, nn.Conv1d):
    """A convolution of sequences with bounded channels, ||Q_k|| <= 1: see `ConvNorm2d`; in place of `nn.Conv1d`.

    >>> ConvNorm1d(3, 8, 3, padding=1)(torch.zeros(2, 3, 16)).shape
    torch.Size([2, 8, 16])
    """

    dims = 1


class ConvNorm3d(ConvNormLayer, nn.Conv3d):
    """A convolution of volumes with bounded channels, ||Q_k|| <= 1: see `ConvNorm2d`; in place of `nn.Conv3d`.

    >>> ConvNorm3d(3, 8, 3, padding=1)(torch.zeros(2, 3, 4, 4, 4)).shape
    torch.Size([2, 8, 4, 4, 4])
    """

    dims = 3
