"""Residual blocks of SNGAN-ResNet (Miyato et al., ICLR 2018, arXiv:1802.05957, figure 8 and appendix B.4)."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from gan_convnorm.layers.convnorm.layer import ConvNorm2d
from gan_convnorm.layers.registry import Norm

__all__ = [
    "DiscriminatorBlock",
    "GeneratorBlock",
    "OptimizedDiscriminatorBlock",
    "convolve_and_pool",
    "glorot_conv",
    "upsample_and_convolve",
]

RESIDUAL_GAIN = math.sqrt(2)


def glorot_conv(in_channels: int, out_channels: int, kernel_size: int, gain: float = 1.0) -> nn.Conv2d:
    """Return a convolution that keeps the size, initialized as in sngan_projection.

    Args:
        in_channels: channels of its input.
        out_channels: channels of its output.
        kernel_size: odd.
        gain: of the Glorot uniform weights; the bias is 0.

    Returns:
        A layer without normalization.

    >>> glorot_conv(3, 8, 3).padding
    (1, 1)
    """
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    nn.init.xavier_uniform_(conv.weight, gain)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def upsample_and_convolve(conv: nn.Module, features: Tensor) -> Tensor:
    """Return ``conv(nearest upsampling of features by 2)``, up to rounding.

    Upsampling is the transposed convolution with 2x2 ones and stride 2, so both together are one with a 4x4 kernel,
    and a pixel of the result takes 4 products per channel in place of 9.

    Args:
        conv: a convolution; any layer that is not a plain 3x3 one is called on the upsampled features.
        features: shape (B, C_in, H, W).

    Returns:
        Shape (B, C_out, 2H, 2W).

    >>> import torch
    >>> upsample_and_convolve(glorot_conv(3, 8, 3), torch.ones(1, 3, 4, 4)).shape
    torch.Size([1, 8, 8, 8])
    """
    plain = _plain_3x3(conv)
    if plain is None:
        upsampled: Tensor = conv(F.interpolate(features, scale_factor=2.0, mode="nearest"))
        return upsampled
    kernel = _spread_2x2(plain.weight).flip(2, 3).transpose(0, 1)
    return F.conv_transpose2d(features, kernel, plain.bias, stride=2, padding=1)


def convolve_and_pool(conv: nn.Module, features: Tensor) -> Tensor:
    """Return ``avg_pool2d(conv(features), 2)``, up to rounding.

    Both together are one convolution with a 4x4 kernel and stride 2: 16 products per channel and pixel of the result
    in place of 36. ConvNorm pools by itself.

    Args:
        conv: a convolution; the output of any layer that is neither a plain 3x3 one nor ConvNorm is pooled.
        features: shape (B, C_in, H, W).

    Returns:
        Shape (B, C_out, H / 2, W / 2).

    >>> import torch
    >>> convolve_and_pool(glorot_conv(3, 8, 3), torch.ones(1, 3, 4, 4)).shape
    torch.Size([1, 8, 2, 2])
    """
    plain = _plain_3x3(conv)
    if plain is None:
        if isinstance(conv, ConvNorm2d) and type(conv).forward is ConvNorm2d.forward and not _has_hooks(conv):
            pooled: Tensor = conv(features, pool=2)
            return pooled
        return F.avg_pool2d(conv(features), 2)
    return F.conv2d(features, _spread_2x2(plain.weight) / 4, plain.bias, stride=2, padding=1)


def _plain_3x3(conv: nn.Module) -> nn.Conv2d | None:
    """Return `conv` if it is a hook-free 3x3 convolution that runs torch's own forward, else None."""
    if not isinstance(conv, nn.Conv2d):
        return None
    kind = type(conv)
    if kind.forward is not nn.Conv2d.forward:
        return None
    if kind._conv_forward is not nn.Conv2d._conv_forward or conv.groups > 1 or conv.padding_mode != "zeros":
        return None
    if (conv.kernel_size, conv.stride, conv.padding, conv.dilation) != ((3, 3), (1, 1), (1, 1), (1, 1)):
        return None
    return None if _has_hooks(conv) else conv


def _has_hooks(module: nn.Module) -> bool:
    """Return whether a call of the module does more than its class's forward."""
    hooks = (module._forward_pre_hooks, module._forward_hooks, module._backward_pre_hooks, module._backward_hooks)
    return any(hooks) or "forward" in vars(module)


def _spread_2x2(weight: Tensor) -> Tensor:
    """Return the full convolution of kernels (..., 3, 3) with 2x2 ones, (..., 4, 4)."""
    return sum(F.pad(weight, (x, 1 - x, y, 1 - y)) for x in (0, 1) for y in (0, 1))  # type: ignore[return-value]


class GeneratorBlock(nn.Module):
    """norm - ReLU - upsample - conv - norm - ReLU - conv, beside upsample - 1x1 conv.

    Maps (B, in_channels, H, W) to (B, out_channels, 2H, 2W). With a conditional norm the labels follow the features.

    >>> import torch
    >>> GeneratorBlock(8, 4, Norm())(torch.zeros(2, 8, 4, 4)).shape
    torch.Size([2, 4, 8, 8])
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.norm1 = norm.activation(in_channels)
        self.conv1 = norm.conv(glorot_conv(in_channels, out_channels, 3, RESIDUAL_GAIN))
        self.norm2 = norm.activation(out_channels)
        self.conv2 = norm.conv(glorot_conv(out_channels, out_channels, 3, RESIDUAL_GAIN))
        self.shortcut = norm.conv(glorot_conv(in_channels, out_channels, 1))
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")

    @override
    def forward(self, features: Tensor, *labels: Tensor) -> Tensor:
        # The ReLUs are not in place: the shortcut needs what stood before the first.
        hidden = upsample_and_convolve(self.conv1, self.norm1(features, *labels).relu())
        residual: Tensor = self.conv2(self.norm2(hidden, *labels).relu())
        # A 1x1 convolution and a nearest upsampling commute, so it runs on a quarter of the pixels.
        shortcut: Tensor = self.upsample(self.shortcut(features))
        return residual + shortcut


class DiscriminatorBlock(nn.Module):
    """norm - ReLU - conv - norm - ReLU - conv - pool, beside 1x1 conv - pool; without `down` no pool.

    Maps (B, in_channels, H, W) to (B, out_channels, H / 2, W / 2), or H, W without `down`. The shortcut has a
    convolution where the channels change or the block pools.

    >>> import torch
    >>> for down in True, False:
    ...     DiscriminatorBlock(4, 8, Norm(), down=down)(torch.zeros(2, 4, 8, 8)).shape
    torch.Size([2, 8, 4, 4])
    torch.Size([2, 8, 8, 8])
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm, *, down: bool) -> None:
        super().__init__()
        self.norm1 = norm.activation(in_channels)
        self.conv1 = norm.conv(glorot_conv(in_channels, in_channels, 3, RESIDUAL_GAIN))
        self.norm2 = norm.activation(in_channels)
        self.conv2 = norm.conv(glorot_conv(in_channels, out_channels, 3, RESIDUAL_GAIN))
        self.down = down
        has_conv = down or in_channels != out_channels
        self.shortcut = norm.conv(glorot_conv(in_channels, out_channels, 1)) if has_conv else nn.Identity()
        self.pool = nn.AvgPool2d(2) if down else nn.Identity()

    @override
    def forward(self, features: Tensor) -> Tensor:
        hidden = self.conv1(self.norm1(features).relu())
        hidden = self.norm2(hidden).relu()
        hidden = convolve_and_pool(self.conv2, hidden) if self.down else self.conv2(hidden)
        # A 1x1 convolution and an average pooling commute, so it runs on a quarter of the pixels.
        shortcut: Tensor = self.shortcut(self.pool(features))
        return hidden + shortcut


class OptimizedDiscriminatorBlock(nn.Module):
    """The first block, which sees the image: conv - norm - ReLU - conv - pool, beside pool - 1x1 conv.

    Maps (B, in_channels, H, W) to (B, out_channels, H / 2, W / 2).

    >>> import torch
    >>> OptimizedDiscriminatorBlock(3, 8, Norm())(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 8, 4, 4])
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = norm.conv(glorot_conv(in_channels, out_channels, 3, RESIDUAL_GAIN))
        self.norm = norm.activation(out_channels)
        self.conv2 = norm.conv(glorot_conv(out_channels, out_channels, 3, RESIDUAL_GAIN))
        self.shortcut = norm.conv(glorot_conv(in_channels, out_channels, 1))
        self.pool = nn.AvgPool2d(2)

    @override
    def forward(self, images: Tensor) -> Tensor:
        hidden = convolve_and_pool(self.conv2, self.norm(self.conv1(images)).relu())
        shortcut: Tensor = self.shortcut(self.pool(images))
        return hidden + shortcut
