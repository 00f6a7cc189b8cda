"""The normalizations, one per file; `registry` names them."""

from gan_convnorm.layers.aoc import aoc
from gan_convnorm.layers.aol import aol
from gan_convnorm.layers.cayley import CayleyConv2d, cayley
from gan_convnorm.layers.convert import Conversion, convert
from gan_convnorm.layers.convnorm.layer import ConvNorm1d, ConvNorm2d, ConvNorm3d, convnorm
from gan_convnorm.layers.convnorm.original_2021 import OriginalConvNorm2d, convnorm_2021
from gan_convnorm.layers.convnorm.transposed import ConvNormTranspose2d
from gan_convnorm.layers.fuse import Fusion, fuse
from gan_convnorm.layers.lot import LOTConv2d, lot
from gan_convnorm.layers.ocnn import OCNNConv2d, norm_penalty, ocnn
from gan_convnorm.layers.oni import oni
from gan_convnorm.layers.registry import NORMS, Norm, find_normalization
from gan_convnorm.layers.row import row
from gan_convnorm.layers.row_norm import LinearRowNorm
from gan_convnorm.layers.soc import SOCConv2d, soc
from gan_convnorm.layers.spectral import spectral
from gan_convnorm.layers.spectral_conv import spectral_conv

__all__ = [
    "NORMS",
    "CayleyConv2d",
    "ConvNorm1d",
    "ConvNorm2d",
    "ConvNorm3d",
    "ConvNormTranspose2d",
    "Conversion",
    "Fusion",
    "LOTConv2d",
    "LinearRowNorm",
    "Norm",
    "OCNNConv2d",
    "OriginalConvNorm2d",
    "SOCConv2d",
    "aoc",
    "aol",
    "cayley",
    "convert",
    "convnorm",
    "convnorm_2021",
    "find_normalization",
    "fuse",
    "lot",
    "norm_penalty",
    "ocnn",
    "oni",
    "row",
    "soc",
    "spectral",
    "spectral_conv",
]
