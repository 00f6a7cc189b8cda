"""Generators and discriminators: ``blocks`` take callables, tables give the resolutions, ``registry`` names them."""

from gan_convnorm.networks.attention import SelfAttention
from gan_convnorm.networks.conditional import ConditionalNorm
from gan_convnorm.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_convnorm.networks.discriminator import Discriminator
from gan_convnorm.networks.generator import Generator
from gan_convnorm.networks.plans import Plan
from gan_convnorm.networks.registry import NETWORKS, Networks, find_networks
from gan_convnorm.networks.sngan import SNGANDiscriminator, SNGANGenerator

__all__ = [
    "NETWORKS",
    "ConditionalNorm",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Discriminator",
    "Generator",
    "Networks",
    "Plan",
    "SNGANDiscriminator",
    "SNGANGenerator",
    "SelfAttention",
    "find_networks",
]
