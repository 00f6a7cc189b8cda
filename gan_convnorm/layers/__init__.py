"""How is it normalized? One normalization per file; `registry` names them."""

from gan_convnorm.layers.convert import Conversion, convert
from gan_convnorm.layers.convnorm import ConvNorm1d, ConvNorm2d, ConvNorm3d
from gan_convnorm.layers.convnorm_transpose import ConvNormTranspose2d
from gan_convnorm.layers.from_plain import convnorm
from gan_convnorm.layers.fuse import Fusion, fuse
from gan_convnorm.layers.original import OriginalConvNorm2d
from gan_convnorm.layers.registry import NORMS, Norm, find_norm
from gan_convnorm.layers.row_norm import LinearRowNorm
from gan_convnorm.layers.spectral import spectral

__all__ = [
    "NORMS",
    "ConvNorm1d",
    "ConvNorm2d",
    "ConvNorm3d",
    "ConvNormTranspose2d",
    "Conversion",
    "Fusion",
    "LinearRowNorm",
    "Norm",
    "OriginalConvNorm2d",
    "convert",
    "convnorm",
    "find_norm",
    "fuse",
    "spectral",
]
