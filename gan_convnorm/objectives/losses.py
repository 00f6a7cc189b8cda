"""GAN losses: pure functions of the discriminator's outputs, with a row of `LOSSES` for each pair.

Every loss has the same arguments: `real_outputs` are D(x) and `fake_outputs` are D(G(z)), of any shape. The
relativistic losses compare them in pairs, and so need equal shapes. The result is a scalar. s is the logistic function.
"""

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


def hinge_discriminator(real_outputs: Tensor, fake_outputs: Tensor) -> Tensor:
    """Return mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z))) (Miyato et al., ICLR 2018, arXiv:1802.05957, eq. 16).

    >>> import torch
    >>> hinge_discriminator(torch.tensor([0.5, 2.0]), torch.tensor([-3.0, 1.0]))  # (0.5 + 0) / 2 + (0 + 2) / 2
    tensor(1.2500)
    """
    return (1 - real_outputs).relu().mean() + (1 + fake_outputs).relu().mean()


def hinge_generator(fake_outputs: Tensor) -> Tensor:
    """Return -mean D(G(z)) (Miyato et al., ICLR 2018, arXiv:1802.05957, eq. 17).

    >>> import torch
    >>> hinge_generator(torch.tensor([1.0, 2.0]))
    tensor(-1.5000)
    """
    return -fake_outputs.mean()


def non_saturating_discriminator(real_outputs: Tensor, fake_outputs: Tensor) -> Tensor:
    """Return -mean log s(D(x)) - mean log(1 - s(D(G(z)))).

    The source is Goodfellow et al. (NeurIPS 2014, arXiv:1406.2661), eq. 1 with the opposite sign.

    >>> import torch
    >>> non_saturating_discriminator(torch.tensor([0.0]), torch.tensor([0.0]))  # 2 log 2
    tensor(1.3863)
    """
    return softplus(-real_outputs).mean() + softplus(fake_outputs).mean()


def non_saturating_generator(fake_outputs: Tensor) -> Tensor:
    """Return -mean log s(D(G(z))) (Goodfellow et al., arXiv:1406.2661, section 3).

    >>> import torch
    >>> non_saturating_generator(torch.tensor([0.0]))  # log 2
    tensor(0.6931)
    """
    return softplus(-fake_outputs).mean()


def least_squares_discriminator(real_outputs: Tensor, fake_outputs: Tensor) -> Tensor:
    """Return mean (D(x) - 1)^2 / 2 + mean D(G(z))^2 / 2 (Mao et al., ICCV 2017, arXiv:1611.04076, eq. 9).

    >>> import torch
    >>> least_squares_discriminator(torch.tensor([3.0]), torch.tensor([1.0]))  # 4 / 2 + 1 / 2
    tensor(2.5000)
    """
    return ((real_outputs - 1).square().mean() + fake_outputs.square().mean()) / 2


def least_squares_generator(fake_outputs: Tensor) -> Tensor:
    """Return mean (D(G(z)) - 1)^2 / 2 (Mao et al., ICCV 2017, arXiv:1611.04076, eq. 9).

    >>> import torch
    >>> least_squares_generator(torch.tensor([3.0]))  # 4 / 2
    tensor(2.)
    """
    return (fake_outputs - 1).square().mean() / 2


def wasserstein_discriminator(real_outputs: Tensor, fake_outputs: Tensor) -> Tensor:
    """Return mean D(G(z)) - mean D(x) (Arjovsky et al., ICML 2017, arXiv:1701.07875, algorithm 1).

    >>> import torch
    >>> wasserstein_discriminator(torch.tensor([3.0]), torch.tensor([1.0]))
    tensor(-2.)
    """
    return fake_outputs.mean() - real_outputs.mean()


def wasserstein_generator(fake_outputs: Tensor) -> Tensor:
    """Return -mean D(G(z)) (Arjovsky et al., ICML 2017, arXiv:1701.07875, algorithm 1).

    >>> import torch
    >>> wasserstein_generator(torch.tensor([1.0, 2.0]))
    tensor(-1.5000)
    """
    return -fake_outputs.mean()


def relativistic_discriminator(real_outputs: Tensor, fake_outputs: Tensor) -> Tensor:
    """Return -mean log s(D(x) - D(G(z))) over pairs.

    The sources are Jolicoeur-Martineau (ICLR 2019, arXiv:1807.00734) and Huang et al. (NeurIPS 2024, arXiv:2501.05441),
    who call it RpGAN.

    >>> import torch
    >>> relativistic_discriminator(torch.tensor([5.0]), torch.tensor([5.0]))  # log 2
    tensor(0.6931)

    Raises:
        BadInput: outputs of unequal shapes.
    """
    return _paired_softplus(fake_outputs, real_outputs)


def relativistic_generator(fake_outputs: Tensor, real_outputs: Tensor) -> Tensor:
    """Return -mean log s(D(G(z)) - D(x)) over pairs; sources as for `relativistic_discriminator`.

    >>> import torch
    >>> relativistic_generator(torch.tensor([5.0]), torch.tensor([5.0]))  # log 2
    tensor(0.6931)

    Raises:
        BadInput: outputs of unequal shapes.
    """
    return _paired_softplus(real_outputs, fake_outputs)


def _paired_softplus(outputs: Tensor, other_outputs: Tensor) -> Tensor:
    if outputs.shape != other_outputs.shape:
        raise BadInput(
            f"the relativistic loss pairs real with fake outputs, and got shapes {tuple(outputs.shape)} and "
            f"{tuple(other_outputs.shape)}; make the generator's batch as large as the discriminator's"
        )
    return softplus(outputs - other_outputs).mean()


@dataclass(frozen=True)
class Loss:
    """A loss for either network.

    >>> LOSSES["relativistic"].uses_real, LOSSES["hinge"].uses_real
    (True, False)

    Attributes:
        discriminator: real and fake outputs to the discriminator's loss, a scalar.
        of_fake: fake outputs to the generator's loss, a scalar; with `uses_real` fake and real outputs.
        uses_real: True if the generator's loss needs the real images' outputs.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    of_fake: Callable[..., Tensor]
    uses_real: bool = False

    def generator(self, fake_outputs: Tensor, real_outputs: Tensor | None = None) -> Tensor:
        """Return the generator's loss, a scalar; without `uses_real` the real outputs may be omitted."""
        return self.of_fake(fake_outputs, real_outputs) if self.uses_real else self.of_fake(fake_outputs)


LOSSES: dict[str, Loss] = {
    "hinge": Loss(hinge_discriminator, hinge_generator),
    "non_saturating": Loss(non_saturating_discriminator, non_saturating_generator),
    "least_squares": Loss(least_squares_discriminator, least_squares_generator),
    "wasserstein": Loss(wasserstein_discriminator, wasserstein_generator),
    "relativistic": Loss(relativistic_discriminator, relativistic_generator, uses_real=True),
}


def find_loss(name: str) -> Loss:
    """Return the loss of a name.

    >>> import torch
    >>> find_loss("hinge").generator(torch.tensor([1.0, 2.0]))
    tensor(-1.5000)

    Raises:
        BadInput: an unknown name; the message lists the choices.
    """
    if name not in LOSSES:
        raise BadInput(f"loss {name!r} is not known; choose one of: {', '.join(LOSSES)}")
    return LOSSES[name]
