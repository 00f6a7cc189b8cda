"""ConvNorm layers that take over a plain layer's weights and geometry."""

from __future__ import annotations

from typing import Any, Unpack

from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.arguments import check_whole
from gan_convnorm.layers.convnorm.layer import ConvNorm1d, ConvNorm2d, ConvNorm3d
from gan_convnorm.layers.convnorm.options import PAPER, ConvNormKeywords, ConvNormOptions
from gan_convnorm.layers.convnorm.original_2021 import OriginalConvNorm2d
from gan_convnorm.layers.convnorm.transposed import ConvNormTranspose2d
from gan_convnorm.layers.gain import Gain
from gan_convnorm.layers.like import adopt
from gan_convnorm.layers.row_norm import LinearRowNorm
from gan_convnorm.layers.spectral import spectral

__all__ = ["convnorm", "convnorm_2021", "convnorm_linear"]


def convnorm(conv: nn.Module, *, min_inputs: int = 1, **options: Unpack[ConvNormKeywords]) -> nn.Module:
    """Return the ConvNorm layer that takes over a convolution's weights and geometry; it bounds ||Q_k|| <= 1.

    A kernel with a single input channel has the power spectrum |F a_k|^2. Divided by its root, it passes every
    frequency alike. So the first layer of grey images can learn phases alone, and that of colours, which are much
    alike, little more. With `min_inputs`, such layers get spectral normalization instead.

    Args:
        conv: `nn.Conv1d`, `nn.Conv2d`, `nn.Conv3d` or `nn.ConvTranspose2d`.
        min_inputs: layers with fewer input channels get the spectral normalization of their weights; 4 for those that
            see an image. A certified gain ("lipschitz" or "learned") makes every layer ConvNorm's.
        **options: as in `ConvNormOptions`, except that `affine` is "depthwise" by default, the paper's learned filter.
            A discriminator has other defaults (`DISCRIMINATOR` in `layers.convnorm.options`).

    Raises:
        BadInput: another module, or an option value that no layer has.

    >>> type(convnorm(nn.Conv2d(3, 8, 3))).__name__
    'ConvNorm2d'
    >>> convnorm(nn.ReLU())
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: convnorm: found ReLU, and can take Conv1d, Conv2d, Conv3d or ConvTranspose2d
    """
    # Checked first, whichever layer it takes: a network is converted as a whole or not at all.
    keywords = PAPER | options
    checked = ConvNormOptions.of("convnorm", **keywords)
    check_whole("convnorm", "min_inputs", min_inputs)
    if isinstance(conv, nn.ConvTranspose2d):
        keywords.pop("strided", None)  # it has no pixels to pass over
        return adopt(conv, ConvNormTranspose2d, **keywords)
    if not isinstance(conv, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        raise BadInput(f"convnorm: found {type(conv).__name__}, and can take Conv1d, Conv2d, Conv3d or ConvTranspose2d")
    if conv.in_channels < min_inputs and not checked.certified:
        return spectral(conv)
    kind: Any = {1: ConvNorm1d, 2: ConvNorm2d, 3: ConvNorm3d}[len(conv.kernel_size)]
    return adopt(conv, kind, **keywords)


def convnorm_2021(conv: nn.Module, *, eps: float = 1e-4, affine: bool = True, batch_norm: bool = True) -> nn.Module:
    """Return the layer of the authors' code (`OriginalConvNorm2d`) with a convolution's weights and geometry.

    Args:
        conv: `nn.Conv2d`.
        eps: as in `OriginalConvNorm2d`. Its default there is 0, with which spectral near-zeros grow without limit.
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


def convnorm_linear(
    linear: nn.Linear, *, eps: float = 1e-4, gain: Gain = 1.0, max_gain: float | None = None
) -> LinearRowNorm:
    """Return the `LinearRowNorm` that takes over a linear layer's weights; it bounds every row, ||w_k|| <= 1.

    Args:
        linear: `nn.Linear`.
        eps: as in `LinearRowNorm`.
        gain: as in `LinearRowNorm`.
        max_gain: as in `LinearRowNorm`.

    Returns:
        The layer, in the mode of `linear`.

    Raises:
        BadInput: another module, or an option value that no layer has.

    >>> type(convnorm_linear(nn.Linear(3, 8))).__name__
    'LinearRowNorm'
    """
    if not isinstance(linear, nn.Linear):
        raise BadInput(f"convnorm: found {type(linear).__name__}, and can take Linear")
    has_bias = linear.bias is not None
    options: dict[str, Any] = {"eps": eps, "gain": gain, "max_gain": max_gain}
    like = linear.weight
    layer = LinearRowNorm(linear.in_features, linear.out_features, has_bias, like.device, like.dtype, **options)
    layer.weight, layer.bias = linear.weight, linear.bias
    return layer.train(linear.training)
