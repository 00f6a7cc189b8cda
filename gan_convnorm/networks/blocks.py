"""Residual blocks of SNGAN-ResNet (Miyato et al., ICLR 2018, arXiv:1802.05957, figure 8 and appendix B.4)."""

from __future__ import annotations

import math

from torch import Tensor, nn

from gan_convnorm.layers.registry import Norm

__all__ = ["DiscriminatorBlock", "GeneratorBlock", "OptimizedDiscriminatorBlock", "glorot_conv"]

RESIDUAL_GAIN = math.sqrt(2)


def glorot_conv(in_channels: int, out_channels: int, kernel_size: int, gain: float = 1.0) -> nn.Conv2d:
    """A convolution that keeps the size, Glorot uniform weights, zero bias (the initialization of sngan_projection)."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    nn.init.xavier_uniform_(conv.weight, gain)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


class GeneratorBlock(nn.Module):
    """norm - ReLU - upsample - conv - norm - ReLU - conv, beside upsample - 1x1 conv.

    Maps (B, in_channels, H, W) to (B, out_channels, 2H, 2W). With a conditional norm the labels follow the features.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.norm1 = norm.activation(in_channels)
        self.conv1 = norm.conv(glorot_conv(in_channels, out_channels, 3, RESIDUAL_GAIN))
        self.norm2 = norm.activation(out_channels)
        self.conv2 = norm.conv(glorot_conv(out_channels, out_channels, 3, RESIDUAL_GAIN))
        self.shortcut = norm.conv(glorot_conv(in_channels, out_channels, 1))
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, features: Tensor, *labels: Tensor) -> Tensor:
        # The ReLUs are not in place: the shortcut needs what stood before the first.
        hidden = self.conv1(self.upsample(self.norm1(features, *labels).relu()))
        hidden = self.conv2(self.norm2(hidden, *labels).relu())
        # A 1x1 convolution and a nearest upsampling commute, so it runs on a quarter of the pixels.
        return hidden + self.upsample(self.shortcut(features))


class DiscriminatorBlock(nn.Module):
    """norm - ReLU - conv - norm - ReLU - conv - pool, beside 1x1 conv - pool; without `down` no pool.

    Maps (B, in_channels, H, W) to (B, out_channels, H / 2, W / 2), or H, W without `down`. The shortcut has a
    convolution where the channels change or the block pools.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm, *, down: bool) -> None:
        super().__init__()
        self.norm1 = norm.activation(in_channels)
        self.conv1 = norm.conv(glorot_conv(in_channels, in_channels, 3, RESIDUAL_GAIN))
        self.norm2 = norm.activation(in_channels)
        self.conv2 = norm.conv(glorot_conv(in_channels, out_channels, 3, RESIDUAL_GAIN))
        has_conv = down or in_channels != out_channels
        self.shortcut = norm.conv(glorot_conv(in_channels, out_channels, 1)) if has_conv else nn.Identity()
        self.pool = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.conv1(self.norm1(features).relu())
        hidden = self.conv2(self.norm2(hidden).relu())
        # A 1x1 convolution and an average pooling commute, so it runs on a quarter of the pixels.
        return self.pool(hidden) + self.shortcut(self.pool(features))


class OptimizedDiscriminatorBlock(nn.Module):
    """The first block, which sees the image: conv - norm - ReLU - conv - pool, beside pool - 1x1 conv.

    Maps (B, in_channels, H, W) to (B, out_channels, H / 2, W / 2).
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = norm.conv(glorot_conv(in_channels, out_channels, 3, RESIDUAL_GAIN))
        self.norm = norm.activation(out_channels)
        self.conv2 = norm.conv(glorot_conv(out_channels, out_channels, 3, RESIDUAL_GAIN))
        self.shortcut = norm.conv(glorot_conv(in_channels, out_channels, 1))
        self.pool = nn.AvgPool2d(2)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.conv2(self.norm(self.conv1(images)).relu())
        return self.pool(hidden) + self.shortcut(self.pool(images))
