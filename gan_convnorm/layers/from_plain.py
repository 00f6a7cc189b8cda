"""ConvNorm layers that take over a plain layer's weights and geometry."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.arguments import check_choice, check_whole
from gan_convnorm.layers.convnorm.layer import ConvNorm1d, ConvNorm2d, ConvNorm3d
from gan_convnorm.layers.convnorm.original_2021 import OriginalConvNorm2d
from gan_convnorm.layers.convnorm.preconditioned import check_options
from gan_convnorm.layers.convnorm.transposed import ConvNormTranspose2d
from gan_convnorm.layers.gain import Gain
from gan_convnorm.layers.row_norm import LinearRowNorm
from gan_convnorm.layers.spectral import spectral

__all__ = ["convnorm", "convnorm_linear"]


def convnorm(
    conv: nn.Module,
    *,
    eps: float = 1e-4,
    gain: Gain = 1.0,
    affine: Literal["channel", "depthwise"] | None = "depthwise",
    gradient: Literal["full", "stop"] = "full",
    strided: Literal["subsample", "fold"] = "subsample",
    tolerance: float = 0.0,
    boundary: Literal["circular", "linear"] = "circular",
    max_radius: int | None = None,
    max_gain: float | None = None,
    original: bool = False,
    min_inputs: int = 1,
) -> nn.Module:
    """Bounds ||Q_k|| <= 1 in a network's convolution: the ConvNorm layer that takes over its weights and geometry.

    A kernel with a single input channel has |F a_k|^2 for its power spectrum, and divided by its root it passes every
    frequency alike: of such a layer, as the first one of grey images, only phases are left to learn; of colours, which
    are much alike, little more. `min_inputs` can have spectral normalization stand in.

    The options are those of `ConvNorm2d`; the default is the paper's layer, its learned filter included. In a
    discriminator the defaults are others (`gan_convnorm.networks.discriminator.OPTIONS`).

    Args:
        conv: `nn.Conv1d`, `nn.Conv2d`, `nn.Conv3d` or `nn.ConvTranspose2d`.
        eps: as in `ConvNorm2d`.
        gain: as in `ConvNorm2d`.
        affine: as in `ConvNorm2d`.
        gradient: as in `ConvNorm2d`.
        strided: as in `ConvNorm2d`; a transposed convolution has none.
        tolerance: as in `ConvNorm2d`.
        boundary: as in `ConvNorm2d`.
        max_radius: as in `ConvNorm2d`.
        max_gain: as in `ConvNorm2d`.
        original: the layer of 2021 (`OriginalConvNorm2d`, with its affine and its BatchNorm), of which only `eps` and
            `affine` (any, or None for neither scale nor filter) can be chosen.
        min_inputs: layers with fewer input channels get the spectral normalization of their weights instead, but for a
            certified gain ("lipschitz" or "learned") and for `original`; 4 for those that see an image.

    Raises:
        BadInput: another module, or an option value that no layer has.
    """
    options: dict[str, Any] = {"eps": eps, "gain": gain, "affine": affine, "gradient": gradient, "strided": strided}
    options |= {"tolerance": tolerance, "boundary": boundary, "max_radius": max_radius, "max_gain": max_gain}
    # All of them first, whichever the layer takes: a network is converted as a whole or not at all.
    check_options("convnorm", getattr(conv, "padding_mode", "zeros"), **options)
    check_whole("convnorm", "min_inputs", min_inputs)
    check_choice("convnorm", "original", original, (True, False))
    certified = gain in ("lipschitz", "learned")
    stands_in = not certified and not original
    if stands_in and isinstance(conv, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and conv.in_channels < min_inputs:
        return spectral(conv)
    geometry: dict[str, Any] = {
        name: getattr(conv, name, None)
        for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    }
    if original and certified:
        raise BadInput(
            f"convnorm: gain={gain!r} is not the 2021 layer's, which certifies nothing; omit original or gain"
        )
    if original and not isinstance(conv, nn.Conv2d):
        raise BadInput(f"convnorm: original=True is for Conv2d, found {type(conv).__name__}; omit original")
    kind: Any
    if isinstance(conv, nn.ConvTranspose2d):
        kind = ConvNormTranspose2d
        geometry["output_padding"] = conv.output_padding
        del options["strided"]
    elif original:
        kind = OriginalConvNorm2d
        options = {"eps": eps, "affine": affine is not None}
    elif isinstance(conv, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        kind = {1: ConvNorm1d, 2: ConvNorm2d, 3: ConvNorm3d}[len(conv.kernel_size)]
    else:
        raise BadInput(f"convnorm: found {type(conv).__name__}, and can take Conv1d, Conv2d, Conv3d or ConvTranspose2d")
    geometry |= {"bias": conv.bias is not None, "padding_mode": conv.padding_mode}
    layer = kind(**geometry, device=conv.weight.device, dtype=conv.weight.dtype, **options)
    layer.weight, layer.bias = conv.weight, conv.bias
    return layer.train(conv.training)


def convnorm_linear(
    linear: nn.Linear, *, eps: float = 1e-4, gain: Gain = 1.0, max_gain: float | None = None
) -> LinearRowNorm:
    """Bounds every row, ||w_k|| <= 1, in a network's linear layer: the `LinearRowNorm` with its weights.

    Args:
        linear: `nn.Linear`.
        eps: as in `LinearRowNorm`.
        gain: as in `LinearRowNorm`.
        max_gain: as in `LinearRowNorm`.

    Raises:
        BadInput: another module, or an option value that no layer has.
    """
    if not isinstance(linear, nn.Linear):
        raise BadInput(f"convnorm: found {type(linear).__name__}, and can take Linear")
    has_bias = linear.bias is not None
    options: dict[str, Any] = {"eps": eps, "gain": gain, "max_gain": max_gain}
    like = linear.weight
    layer = LinearRowNorm(linear.in_features, linear.out_features, has_bias, like.device, like.dtype, **options)
    layer.weight, layer.bias = linear.weight, linear.bias
    return layer.train(linear.training)
