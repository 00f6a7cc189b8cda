"""ConvNorm: every output channel of a convolution becomes a tight frame."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Unpack

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.arguments import as_batch, check_whole, checked_geometry
from gan_convnorm.layers.convnorm.geometry import Geometry, convolution_geometry, padding_pairs
from gan_convnorm.layers.convnorm.methods import choose, full_response, pooled
from gan_convnorm.layers.convnorm.options import PAPER, ConvNormKeywords, ConvNormOptions
from gan_convnorm.layers.convnorm.preconditioned import Preconditioned
from gan_convnorm.layers.convnorm.transposed import ConvNormTranspose2d
from gan_convnorm.layers.like import adopt
from gan_convnorm.layers.reading_weight import one_weight
from gan_convnorm.layers.spectral import spectral

__all__ = ["ConvNorm1d", "ConvNorm2d", "ConvNorm3d", "convnorm"]


class ConvNormLayer(Preconditioned):
    """Base class of the ConvNorm layers in place of `nn.Conv1d`, `nn.Conv2d` and `nn.Conv3d`.

    >>> response, geometry = ConvNorm1d(3, 8, 3, padding=1).respond(torch.zeros(2, 3, 16))
    >>> response.shape, geometry.crop
    (torch.Size([2, 8, 18]), ((1, 16, 1),))
    """

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
        name, sizes = type(self).__name__, (in_channels, out_channels, kernel_size)
        geometry = checked_geometry(name, self.dims, *sizes, stride, padding, dilation, groups, padding_mode)
        checked = ConvNormOptions.of(name, **options)
        super().__init__(**geometry, bias=bias, device=device, dtype=dtype)
        self._set_options(checked)

    def forward(self, input: Tensor, pool: int = 1) -> Tensor:
        """Return the layer's output for a batch of images or one image.

        Args:
            input: shape (B, C_in, *size) or (C_in, *size).
            pool: side of the boxes over which the output is averaged, at less cost than afterwards; 1 for none.

        Returns:
            Shape (B, C_out, *size) or (C_out, *size), as torch's layer.

        Raises:
            BadInput: an input of another shape, or smaller than the kernel.
        """
        if input.dim() != self.dims + 2 or input.shape[1] != self.in_channels:
            return self.forward(as_batch(type(self).__name__, input, self.in_channels, self.dims), pool).squeeze(0)
        with one_weight(self):
            if self.is_pointwise():
                return pooled(self._conv_forward(input, self.pointwise_weight(), self.bias), pool)
            images, geometry = self._pad(input)
            respond_precondition_crop = choose(self, images, geometry)
            return respond_precondition_crop(self, images, geometry, self.power_spectrum(geometry.grid), pool)

    def respond(self, input: Tensor) -> tuple[Tensor, Geometry]:
        """Return the convolution of a batch on its whole grid, before the preconditioner, and its geometry."""
        images, geometry = self._pad(input)
        return full_response(self, images, geometry), geometry

    def _pad(self, input: Tensor) -> tuple[Tensor, Geometry]:
        """Return the input, padded if the layer pads by reflection or replication, and its response's geometry."""
        padding = padding_pairs(self.padding, self.kernel_size, self.dilation)
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


class ConvNorm2d(ConvNormLayer, nn.Conv2d):
    r"""A convolution with bounded channels, ||Q_k|| <= 1, and so a bounded layer, ||Q|| <= sqrt(C_out / groups).

    Convolutional Normalization (Liu et al., NeurIPS 2021, arXiv:2103.00673, eq. 5-7) divides output channel k by the
    square root of its kernels' power spectrum:

        S_k(w) = sum_j |F a_kj (w)|^2
        z_k    = gain * r_k (*) F^-1[(S_k + eps)^(-1/2)] (*) sum_j a_kj (*) x_j

    The image of H pixels is padded by P = max(padding, d(k-1)) zeros on both sides. On the resulting grid of
    H + 2P - d(k-1) pixels, linear and circular convolution agree. The output is the crop of z_k to the layer's own
    padding. Then come the stride and the bias.

    Q is the layer without gain and r_k. As eps -> 0, Q_k Q_k^T = I on the grid. Padding the image, the crop and the
    stride can only lower a norm. The bound of the stacked Q is tight: it is reached by equal kernels in every channel.
    A learned r_k (`affine`) has no bound, and can undo that of Q.

    The power spectrum is a function of the weights alone. So evaluation is exact at every resolution, and the layer
    stores its weights and nothing else. Power spectra and transforms are float32 (or float64) under autocast. The
    shapes and the first eleven arguments are those of `torch.nn.Conv2d`.

    Args:
        padding_mode: with "circular" the image is the grid. With "reflect" and "replicate" the bound is of the map that
            follows the padding; the padding itself enlarges norms. So does a circular padding that is so wide that
            pixels are read twice.
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
    """A convolution of sequences with bounded channels, ||Q_k|| <= 1: `ConvNorm2d` in place of `nn.Conv1d`.

    >>> ConvNorm1d(3, 8, 3, padding=1)(torch.zeros(2, 3, 16)).shape
    torch.Size([2, 8, 16])
    """

    dims = 1


class ConvNorm3d(ConvNormLayer, nn.Conv3d):
    """A convolution of volumes with bounded channels, ||Q_k|| <= 1: `ConvNorm2d` in place of `nn.Conv3d`.

    >>> ConvNorm3d(3, 8, 3, padding=1)(torch.zeros(2, 3, 4, 4, 4)).shape
    torch.Size([2, 8, 4, 4, 4])
    """

    dims = 3


def convnorm(conv: nn.Module, *, min_inputs: int = 1, **options: Unpack[ConvNormKeywords]) -> nn.Module:
    """Return the ConvNorm layer that takes over a convolution's weights and geometry; it bounds ||Q_k|| <= 1.

    A kernel with a single input channel has the power spectrum |F a_k|^2. After the division it passes every frequency
    alike, so the first layer of grey images can learn phases and nothing else. The channels of colour images are much
    alike, and leave little more to learn. With `min_inputs`, such layers get spectral normalization instead.

    Args:
        conv: `nn.Conv1d`, `nn.Conv2d`, `nn.Conv3d` or `nn.ConvTranspose2d`.
        min_inputs: convolutions with fewer input channels get spectral normalization; 4 selects those that see an
            image. With a certified gain ("lipschitz" or "learned") they become ConvNorm layers too.
        **options: as in `ConvNormOptions`, except that `affine` is "depthwise" by default, the paper's learned filter.
            A discriminator has other defaults (docs/convnorm.md).

    Raises:
        BadInput: another module, or an option value that no layer has.

    >>> type(convnorm(nn.Conv2d(3, 8, 3))).__name__
    'ConvNorm2d'
    >>> convnorm(nn.ReLU())
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: convnorm: found ReLU, and can take Conv1d, Conv2d, Conv3d or ConvTranspose2d
    """
    # Checked for every kind of layer: a network is converted as a whole or not at all.
    keywords = PAPER | options
    certified = ConvNormOptions.of("convnorm", **keywords).certified
    check_whole("convnorm", "min_inputs", min_inputs)
    if isinstance(conv, nn.ConvTranspose2d):
        keywords.pop("strided", None)  # a transposed convolution passes over no pixels
        return adopt(conv, ConvNormTranspose2d, **keywords)
    if not isinstance(conv, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        raise BadInput(f"convnorm: found {type(conv).__name__}, and can take Conv1d, Conv2d, Conv3d or ConvTranspose2d")
    if conv.in_channels < min_inputs and not certified:
        return spectral(conv)
    kind: Any = {1: ConvNorm1d, 2: ConvNorm2d, 3: ConvNorm3d}[len(conv.kernel_size)]
    return adopt(conv, kind, **keywords)
