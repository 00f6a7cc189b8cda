"""GAN losses: pure functions of scores, and a row of `LOSSES` for each pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from gan_convnorm.errors import BadInput

__all__ = [
    "LOSSES",
    "Loss",
    "find_loss",
    "hinge_discriminator",
    "hinge_generator",
    "least_squares_discriminator",
    "least_squares_generator",
    "non_saturating_discriminator",
    "non_saturating_generator",
    "relativistic_discriminator",
    "relativistic_generator",
    "wasserstein_discriminator",
    "wasserstein_generator",
]


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


def non_saturating_discriminator(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """-mean log s(D(x)) - mean log(1 - s(D(G(z)))), s the logistic function (Goodfellow et al., NeurIPS 2014,
    arXiv:1406.2661, eq. 1, with its sign turned)."""
    return softplus(-real_scores).mean() + softplus(fake_scores).mean()


def non_saturating_generator(fake_scores: Tensor) -> Tensor:
    """-mean log s(D(G(z))), s the logistic function (Goodfellow et al., arXiv:1406.2661, section 3)."""
    return softplus(-fake_scores).mean()


def least_squares_discriminator(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """mean (D(x) - 1)^2 / 2 + mean D(G(z))^2 / 2 (Mao et al., ICCV 2017, arXiv:1611.04076, eq. 9)."""
    return ((real_scores - 1).square().mean() + fake_scores.square().mean()) / 2


def least_squares_generator(fake_scores: Tensor) -> Tensor:
    """mean (D(G(z)) - 1)^2 / 2 (Mao et al., ICCV 2017, arXiv:1611.04076, eq. 9)."""
    return (fake_scores - 1).square().mean() / 2


def wasserstein_discriminator(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """mean D(G(z)) - mean D(x) (Arjovsky et al., ICML 2017, arXiv:1701.07875, algorithm 1)."""
    return fake_scores.mean() - real_scores.mean()


def wasserstein_generator(fake_scores: Tensor) -> Tensor:
    """-mean D(G(z)) (Arjovsky et al., ICML 2017, arXiv:1701.07875, algorithm 1)."""
    return -fake_scores.mean()


def relativistic_discriminator(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """-mean log s(D(x) - D(G(z))) over pairs, s the logistic function (Jolicoeur-Martineau, ICLR 2019,
    arXiv:1807.00734; RpGAN in Huang et al., NeurIPS 2024, arXiv:2501.05441).

    Args:
        real_scores: D(x).
        fake_scores: D(G(z)), of the same shape.

    Raises:
        BadInput: unequal shapes.
    """
    return _paired_softplus(fake_scores, real_scores)


def relativistic_generator(fake_scores: Tensor, real_scores: Tensor) -> Tensor:
    """-mean log s(D(G(z)) - D(x)) over pairs; sources, arguments and errors as for `relativistic_discriminator`."""
    return _paired_softplus(real_scores, fake_scores)


def _paired_softplus(scores: Tensor, other_scores: Tensor) -> Tensor:
    if scores.shape != other_scores.shape:
        raise BadInput(
            f"the relativistic loss pairs real with fake scores, and got shapes {tuple(scores.shape)} and "
            f"{tuple(other_scores.shape)}; make the generator's batch as large as the discriminator's"
        )
    return softplus(scores - other_scores).mean()


@dataclass(frozen=True)
class Loss:
    """A loss for either network.

    Attributes:
        discriminator: real and fake scores to the discriminator's loss, a scalar.
        of_fake: fake scores to the generator's loss, a scalar; with `uses_real` fake and real scores.
        uses_real: whether the generator's loss needs the real images' scores.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    of_fake: Callable[..., Tensor]
    uses_real: bool = False

    def generator(self, fake_scores: Tensor, real_scores: Tensor | None = None) -> Tensor:
        """The generator's loss, a scalar; without `uses_real` the real scores may be left away."""
        return self.of_fake(fake_scores, real_scores) if self.uses_real else self.of_fake(fake_scores)


LOSSES: dict[str, Loss] = {
    "hinge": Loss(hinge_discriminator, hinge_generator),
    "non_saturating": Loss(non_saturating_discriminator, non_saturating_generator),
    "least_squares": Loss(least_squares_discriminator, least_squares_generator),
    "wasserstein": Loss(wasserstein_discriminator, wasserstein_generator),
    "relativistic": Loss(relativistic_discriminator, relativistic_generator, uses_real=True),
}


def find_loss(name: str) -> Loss:
    """The row of a name.

    Raises:
        BadInput: an unknown name; the message lists the choices.
    """
    if name not in LOSSES:
        raise BadInput(f"loss {name!r} is not known; choose one of: {', '.join(LOSSES)}")
    return LOSSES[name]
