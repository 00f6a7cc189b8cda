"""Networks by name, and those of your own modules by their path."""

from __future__ import annotations

from typing import NamedTuple

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.registry import import_named
from gan_convnorm.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_convnorm.networks.discriminator import Discriminator
from gan_convnorm.networks.generator import Generator
from gan_convnorm.networks.sngan import SNGANDiscriminator, SNGANGenerator

__all__ = ["NETWORKS", "Networks", "find_networks"]


class Networks(NamedTuple):
    """The two classes of one architecture; their constructors are those of `Generator` and `Discriminator`.

    >>> mixed = Networks(generator=SNGANGenerator, discriminator=DCGANDiscriminator)
    >>> mixed.generator.name, mixed.discriminator.name
    ('SNGAN', 'DCGAN')
    """

    generator: type[Generator]
    discriminator: type[Discriminator]


NETWORKS: dict[str, Networks] = {
    "sngan": Networks(SNGANGenerator, SNGANDiscriminator),
    "dcgan": Networks(DCGANGenerator, DCGANDiscriminator),
}


def find_networks(name: str) -> Networks:
    """Return the generator's and the discriminator's class of a name.

    Args:
        name: a key of `NETWORKS`, or package.module:Name of a `Networks` of your own.

    Returns:
        The two classes.

    Raises:
        BadInput: an unknown name, with the choices; a module that cannot be imported, or has no such networks.

    >>> find_networks("sngan").generator.__name__
    'SNGANGenerator'
    """
    if name in NETWORKS:
        return NETWORKS[name]
    if ":" not in name:
        raise BadInput(
            f"network {name!r} is not known; choose one of: {', '.join(NETWORKS)}, or give your own as "
            "package.module:Name"
        )
    found = import_named("network", name)
    if not isinstance(found, Networks):
        raise BadInput(f"network {name!r} is a {type(found).__name__}; expected gan_convnorm.networks.Networks(G, D)")
    return found
