"""SNGAN-ResNet (Miyato et al., ICLR 2018, arXiv:1802.05957, tables 3-4): one plan a resolution."""

from __future__ import annotations

from torch import Tensor, nn
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.images.size import Size
from gan_convnorm.layers.registry import Norm
from gan_convnorm.networks.blocks import DiscriminatorBlock, GeneratorBlock, OptimizedDiscriminatorBlock
from gan_convnorm.networks.discriminator import Discriminator
from gan_convnorm.networks.generator import Generator
from gan_convnorm.networks.plans import Plan

__all__ = ["PLANS", "SNGANDiscriminator", "SNGANGenerator"]

PLANS: dict[int, Plan] = {
    # 16 is not in the paper: 32's plan without its last doubling.
    16: Plan(4, (256, 256, 256), ((128, True), (128, True), (128, False), (128, False))),
    32: Plan(4, (256, 256, 256, 256), ((128, True), (128, True), (128, False), (128, False))),
    48: Plan(6, (512, 256, 128, 64), ((64, True), (128, True), (256, True), (512, True), (1024, False))),
    64: Plan(4, (1024, 512, 256, 128, 64), ((64, True), (128, True), (256, True), (512, True), (1024, True))),
    128: Plan(
        4,
        (1024, 1024, 512, 256, 128, 64),
        ((64, True), (128, True), (256, True), (512, True), (1024, True), (1024, False)),
    ),
}


class SNGANGenerator(Generator):
    """SNGAN-ResNet's generator; arguments and errors are those of `Generator`.

    >>> import torch
    >>> SNGANGenerator(32, width=0.05)(torch.zeros(2, 128)).shape
    torch.Size([2, 3, 32, 32])
    """

    name = "SNGAN"
    plans = PLANS

    @staticmethod
    @override
    def initialize(weight: Tensor) -> object:
        return nn.init.xavier_uniform_(weight)

    @staticmethod
    @override
    def block(in_channels: int, out_channels: int, norm: Norm) -> nn.Module:
        return GeneratorBlock(in_channels, out_channels, norm)


class SNGANDiscriminator(Discriminator):
    """SNGAN-ResNet's discriminator; arguments and errors are those of `Discriminator`.

    The first block of a plan must halve the sides.

    >>> import torch
    >>> SNGANDiscriminator(32, width=0.05)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2])
    """

    name = "SNGAN"
    plans = PLANS

    @staticmethod
    @override
    def initialize(weight: Tensor) -> object:
        return nn.init.xavier_uniform_(weight)

    @staticmethod
    @override
    def block(in_channels: int, out_channels: int, norm: Norm, *, first: bool, down: bool) -> nn.Module:
        if not first:
            return DiscriminatorBlock(in_channels, out_channels, norm, down=down)
        if not down:
            raise BadInput(
                "the plan's first discriminator block does not halve the side, and SNGAN's does; set it true"
            )
        return OptimizedDiscriminatorBlock(in_channels, out_channels, norm)

    @staticmethod
    @override
    def vector_size(channels: int, size: Size) -> int:
        return channels

    @staticmethod
    @override
    def vector(features: Tensor) -> Tensor:
        return features.relu().sum(dim=(2, 3))
