"""SN-DCGAN, the standard CNN of Miyato et al., ICLR 2018, arXiv:1802.05957, table 3: one plan a resolution.

Discriminator: 3x3 convolutions alternate with 4x4 ones of stride 2, LeakyReLU 0.1, dense head. Generator: dense, 4x4
transposed convolutions of stride 2, 3x3 convolution, tanh. The table prints no norm after the generator's dense layer;
there is one here, as in DCGAN (Radford et al., ICLR 2016, arXiv:1511.06434), from which the weights' N(0, 0.02) comes
too.
"""

from __future__ import annotations

from torch import Tensor, nn
from typing_extensions import override

from gan_convnorm.images.size import Size
from gan_convnorm.layers.registry import Norm
from gan_convnorm.networks.discriminator import Discriminator
from gan_convnorm.networks.generator import Generator
from gan_convnorm.networks.plans import Plan

__all__ = ["PLANS", "DCGANDiscriminator", "DCGANGenerator"]

SLOPE = 0.1

PLANS: dict[int, Plan] = {
    # 32 (SVHN, CIFAR-10) and 48 (STL-10) are the paper's. 16 is 32 without its deepest stage; 64 and 128 have one and
    # two more, so that the smallest feature map stays 4x4 (as in Radford's 64), with channels up to 1024.
    16: Plan(4, (256, 128, 64), ((64, True), (128, True), (256, False))),
    32: Plan(4, (512, 256, 128, 64), ((64, True), (128, True), (256, True), (512, False))),
    48: Plan(6, (512, 256, 128, 64), ((64, True), (128, True), (256, True), (512, False))),
    64: Plan(4, (1024, 512, 256, 128, 64), ((64, True), (128, True), (256, True), (512, True), (1024, False))),
    128: Plan(
        4,
        (1024, 1024, 512, 256, 128, 64),
        ((64, True), (128, True), (256, True), (512, True), (1024, True), (1024, False)),
    ),
}


def _initialize(weight: Tensor) -> object:
    return nn.init.normal_(weight, 0, 0.02)


def _initialized(conv: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    _initialize(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


class UpBlock(nn.Module):
    """norm - ReLU - 4x4 transposed convolution of stride 2.

    Maps (B, in_channels, H, W) to (B, out_channels, 2H, 2W). With a conditional norm the labels follow the features.
    The norm and the ReLU come first, as in SNGAN's blocks: the chain of layers is the table's.

    >>> import torch
    >>> from gan_convnorm.layers.registry import find_normalization
    >>> UpBlock(8, 4, find_normalization("batch"))(torch.zeros(2, 8, 4, 4)).shape
    torch.Size([2, 4, 8, 8])
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm.activation(in_channels)
        self.conv = norm.conv(_initialized(nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1)))

    @override
    def forward(self, features: Tensor, *labels: Tensor) -> Tensor:
        upsampled: Tensor = self.conv(self.norm(features, *labels).relu())
        return upsampled


class DownBlock(nn.Module):
    """3x3 convolution - norm - LeakyReLU, and with `down` 4x4 convolution of stride 2 - norm - LeakyReLU.

    Maps (B, in_channels, H, W) to (B, out_channels, H / 2, W / 2), or H, W without `down`.

    >>> import torch
    >>> from gan_convnorm.layers.registry import find_normalization
    >>> DownBlock(4, 8, find_normalization("spectral"), down=True)(torch.zeros(2, 4, 8, 8)).shape
    torch.Size([2, 8, 4, 4])
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm, *, down: bool) -> None:
        super().__init__()
        convs = [nn.Conv2d(in_channels, out_channels, 3, padding=1)]
        if down:
            convs.append(nn.Conv2d(out_channels, out_channels, 4, stride=2, padding=1))
        self.convs = nn.ModuleList(norm.conv(_initialized(conv)) for conv in convs)
        self.norms = nn.ModuleList(norm.activation(out_channels) for _ in convs)

    @override
    def forward(self, features: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            features = nn.functional.leaky_relu(norm(conv(features)), SLOPE)
        return features


class DCGANGenerator(Generator):
    """SN-DCGAN's generator; arguments and errors are those of `Generator`.

    >>> import torch
    >>> DCGANGenerator(32, width=0.05)(torch.zeros(2, 128)).shape
    torch.Size([2, 3, 32, 32])
    """

    name = "DCGAN"
    plans = PLANS

    @staticmethod
    @override
    def initialize(weight: Tensor) -> object:
        return _initialize(weight)

    @staticmethod
    @override
    def block(in_channels: int, out_channels: int, norm: Norm) -> nn.Module:
        return UpBlock(in_channels, out_channels, norm)


class DCGANDiscriminator(Discriminator):
    """SN-DCGAN's discriminator; arguments and errors are those of `Discriminator`.

    >>> import torch
    >>> DCGANDiscriminator(32, width=0.05)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2])
    """

    name = "DCGAN"
    plans = PLANS

    @staticmethod
    @override
    def initialize(weight: Tensor) -> object:
        return _initialize(weight)

    @staticmethod
    @override
    def block(in_channels: int, out_channels: int, norm: Norm, *, first: bool, down: bool) -> nn.Module:
        return DownBlock(in_channels, out_channels, norm, down=down)

    @staticmethod
    @override
    def vector_size(channels: int, size: Size) -> int:
        return channels * size.height * size.width

    @staticmethod
    @override
    def vector(features: Tensor) -> Tensor:
        return features.flatten(1)
