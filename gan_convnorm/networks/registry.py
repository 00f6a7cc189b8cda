"""Networks by name: one row each."""

from __future__ import annotations

from typing import NamedTuple

from gan_convnorm.errors import BadInput
from gan_convnorm.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_convnorm.networks.discriminator import Discriminator
from gan_convnorm.networks.generator import Generator
from gan_convnorm.networks.sngan import SNGANDiscriminator, SNGANGenerator

__all__ = ["NETWORKS", "Networks", "find_networks"]


class Networks(NamedTuple):
    """The two classes of one architecture; their constructors are those of `Generator` and `Discriminator`."""

    generator: type[Generator]
    discriminator: type[Discriminator]


NETWORKS: dict[str, Networks] = {
    "sngan": Networks(SNGANGenerator, SNGANDiscriminator),
    "dcgan": Networks(DCGANGenerator, DCGANDiscriminator),
}


def find_networks(name: str) -> Networks:
    """The classes of a name.

    Raises:
        BadInput: an unknown name; the message lists the choices.
    """
    if name not in NETWORKS:
        raise BadInput(f"network {name!r} is not known; choose one of: {', '.join(NETWORKS)}")
    return NETWORKS[name]
