"""How is it normalized? One normalization per file; `registry` names them."""

from gan_convnorm.layers.convnorm import ConvNorm2d, LinearRowNorm, convnorm
from gan_convnorm.layers.registry import NORMS, Norm, find_norm
from gan_convnorm.layers.spectral import spectral

__all__ = ["NORMS", "ConvNorm2d", "LinearRowNorm", "Norm", "convnorm", "find_norm", "spectral"]
