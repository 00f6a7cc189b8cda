"""Generators and discriminators: ``blocks`` take callables, tables give the resolutions."""

from gan_convnorm.networks.sngan import SNGANDiscriminator, SNGANGenerator

__all__ = ["SNGANDiscriminator", "SNGANGenerator"]
