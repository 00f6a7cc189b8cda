"""Protocols by name: the number of fakes, and the real images they are compared with."""

from __future__ import annotations

from dataclasses import dataclass

from gan_convnorm.errors import BadInput

__all__ = ["PROTOCOLS", "Protocol", "protocol_named"]


@dataclass(frozen=True)
class Protocol:
    """The numbers that make scores comparable: fakes, and the split of real images that they are compared with.

    >>> PROTOCOLS["quick"]
    Protocol(name='quick', num_fake=2000, split='train')

    Attributes:
        name: a key of `PROTOCOLS`.
        num_fake: number of generated images.
        split: the real images: train or test.
    """

    name: str
    num_fake: int
    split: str


PROTOCOLS = {
    p.name: p
    for p in (
        Protocol("quick", 2_000, "train"),
        # torch-mimicry, pytorch-gan-collections and StudioGAN
        Protocol("train-50k", 50_000, "train"),
        # Miyato et al. (2018), Spectral Normalization for GANs: 5,000 samples against the 10,000 test images
        Protocol("test-5k", 5_000, "test"),
    )
}


def protocol_named(name: str) -> Protocol:
    """Return a protocol by name.

    >>> protocol_named("test-5k").num_fake
    5000

    Args:
        name: a key of `PROTOCOLS`.

    Returns:
        The protocol.

    Raises:
        BadInput: an unknown name; lists the choices.
    """
    if name not in PROTOCOLS:
        raise BadInput(f"protocol {name!r} is not known; choose one of: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
