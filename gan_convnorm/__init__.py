"""Train SNGAN-family GANs and compare normalizations; ConvNorm as a layer for any ConvNet."""

__version__ = "0.1.0"
