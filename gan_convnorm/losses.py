"""GAN losses: pure functions of scores."""

from __future__ import annotations

from torch import Tensor

__all__ = ["hinge_discriminator", "hinge_generator"]


def hinge_discriminator(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z))) (Miyato et al., ICLR 2018, arXiv:1802.05957, eq. 16).

    Args:
        real_scores: D(x), any shape.
        fake_scores: D(G(z)), any shape.

    Returns:
        A scalar, zero or above.
    """
    return (1 - real_scores).relu().mean() + (1 + fake_scores).relu().mean()


def hinge_generator(fake_scores: Tensor) -> Tensor:
    """-mean D(G(z)) (Miyato et al., ICLR 2018, arXiv:1802.05957, eq. 17).

    Args:
        fake_scores: D(G(z)), any shape.

    Returns:
        A scalar.
    """
    return -fake_scores.mean()
