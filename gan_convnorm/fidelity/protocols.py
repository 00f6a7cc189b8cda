"""Protocols by name: how many fakes are scored against what."""

from __future__ import annotations

from dataclasses import dataclass

from gan_convnorm.errors import BadInput

__all__ = ["PROTOCOLS", "Protocol", "protocol_named"]


@dataclass(frozen=True)
class Protocol:
    """How a score is taken.

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
    """The protocol.

    Raises:
        BadInput: an unknown name; lists the choices.
    """
    if name not in PROTOCOLS:
        raise BadInput(f"protocol {name!r} is not known; choose one of: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
