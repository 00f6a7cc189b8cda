"""ConvNorm: each output channel preconditioned by the inverse square root of its kernels' power spectrum."""

from gan_convnorm.layers.convnorm.layer import ConvNorm1d, ConvNorm2d, ConvNorm3d
from gan_convnorm.layers.convnorm.original_2021 import OriginalConvNorm2d
from gan_convnorm.layers.convnorm.transposed import ConvNormTranspose2d

__all__ = ["ConvNorm1d", "ConvNorm2d", "ConvNorm3d", "ConvNormTranspose2d", "OriginalConvNorm2d"]
