"""Gradient penalties: pure functions of a critic and images, with a row of `PENALTIES` for each.

Every penalty has the same arguments. `critic` maps images (B, C, H, W) to outputs (B,), as `critic_gradients` says.
`real` are images x and `fake` images G(z), both of shape (B, C, H, W); neither gets a gradient. `rng`, on the CPU, is
the source of the random numbers that wgan_gp and dragan draw. The result is a scalar, zero or above, differentiable in
the critic's parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.execution import exact_dtype
from gan_convnorm.objectives.critic_gradients import Critic, distance_from_one, gradients

__all__ = ["PENALTIES", "Penalty", "dragan", "find_penalty", "r1", "r2", "wgan_gp"]


def r1(critic: Critic, real: Tensor, fake: Tensor, *, rng: torch.Generator) -> Tensor:
    """Return mean ||grad D(x)||^2 at real images.

    The source is Mescheder et al. (ICML 2018, arXiv:1801.04406), eq. 9 without its factor gamma / 2.

    >>> images = torch.zeros(2, 1, 1, 2)
    >>> rng = torch.Generator().manual_seed(0)
    >>> r1(lambda x: (3 * x).sum(dim=(1, 2, 3)), images, images, rng=rng).detach()  # 3^2 + 3^2
    tensor(18.)
    """
    return gradients(critic, real).square().sum(dim=1).mean()


def r2(critic: Critic, real: Tensor, fake: Tensor, *, rng: torch.Generator) -> Tensor:
    """Return mean ||grad D(G(z))||^2 at fake images.

    The source is Mescheder et al. (ICML 2018, arXiv:1801.04406), eq. 10 without its factor gamma / 2.

    >>> images = torch.zeros(2, 1, 1, 2)
    >>> rng = torch.Generator().manual_seed(0)
    >>> r2(lambda x: (3 * x).sum(dim=(1, 2, 3)), images, images, rng=rng).detach()  # 3^2 + 3^2
    tensor(18.)
    """
    return gradients(critic, fake).square().sum(dim=1).mean()


def wgan_gp(critic: Critic, real: Tensor, fake: Tensor, *, rng: torch.Generator) -> Tensor:
    """Return mean (||grad D(u x + (1 - u) G(z))|| - 1)^2, with u uniform in [0, 1] for each pair.

    The source is Gulrajani et al. (NeurIPS 2017, arXiv:1704.00028), eq. 3 without its factor lambda.

    >>> images = torch.zeros(2, 1, 1, 2)
    >>> rng = torch.Generator().manual_seed(0)
    >>> wgan_gp(lambda x: (3 * x).sum(dim=(1, 2, 3)), images, images, rng=rng).detach()  # (sqrt(18) - 1)^2
    tensor(10.5147)

    Raises:
        BadInput: real and fake images of unequal shapes.
    """
    return distance_from_one(critic, _between(real, fake, rng))


def _between(real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    if real.shape != fake.shape:
        raise BadInput(
            f"wgan_gp pairs real with fake images, and got shapes {tuple(real.shape)} and {tuple(fake.shape)}; make "
            "them equal"
        )
    # Under autocast generated images are of half precision and real ones are not.
    real, fake = exact_dtype(real.detach()), exact_dtype(fake.detach())
    return fake + _uniform_each(real, rng) * (real - fake)


def dragan(critic: Critic, real: Tensor, fake: Tensor, *, rng: torch.Generator) -> Tensor:
    """Return mean (||grad D(x + u delta)|| - 1)^2 near real images.

    The source is Kodali et al. (2017, arXiv:1705.07215), without its factor lambda. As in the authors' code, delta is
    uniform in [0, std / 2] for each pixel, with the standard deviation std of all pixels of the batch, and u is uniform
    in [0, 1] for each image. (The paper writes a normal delta.)

    >>> images = torch.zeros(2, 1, 1, 2)
    >>> rng = torch.Generator().manual_seed(0)
    >>> dragan(lambda x: (3 * x).sum(dim=(1, 2, 3)), images, images, rng=rng).detach()  # (sqrt(18) - 1)^2
    tensor(10.5147)
    """
    return distance_from_one(critic, _near(real, fake, rng))


def _near(real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    real = exact_dtype(real.detach())
    delta = torch.rand(real.shape, generator=rng, dtype=torch.float32).to(real) * (real.std(correction=0) / 2)
    return real + _uniform_each(real, rng) * delta


def _uniform_each(images: Tensor, rng: torch.Generator) -> Tensor:
    """Return one number in [0, 1) for each image, shape (B, 1, ...); drawn on the CPU, the same on all devices."""
    return torch.rand(len(images), *[1] * (images.dim() - 1), generator=rng, dtype=torch.float32).to(images)


class _Penalize(Protocol):
    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, *, rng: torch.Generator) -> Tensor: ...


@dataclass(frozen=True)
class Penalty:
    """A penalty and its weight.

    >>> PENALTIES["r2"].weight
    5.0

    Attributes:
        function: maps critic, real images, fake images and rng to the batch's mean, without its weight.
        weight: factor in the discriminator's loss, as in its paper.
        points: maps real images, fake images and rng to the images at which the penalty takes `distance_from_one`, so
            that a micro-batch can take its rows of them. Only a penalty that draws numbers, or needs the whole batch,
            has them; None for others.
        of_fakes: it is taken at the fake images, so with the classes that these were made for.
    """

    function: _Penalize
    weight: float
    points: Callable[[Tensor, Tensor, torch.Generator], Tensor] | None = None
    of_fakes: bool = False


PENALTIES: dict[str, Penalty] = {
    # lambda = 10 (arXiv:1704.00028, section 4).
    "wgan_gp": Penalty(wgan_gp, 10.0, _between),
    # gamma / 2 with gamma = 10 (arXiv:1801.04406).
    "r1": Penalty(r1, 5.0),
    "r2": Penalty(r2, 5.0, of_fakes=True),
    # lambda = 10 (arXiv:1705.07215).
    "dragan": Penalty(dragan, 10.0, _near),
}


def find_penalty(name: str) -> Penalty:
    """Return the penalty of a name.

    >>> find_penalty("r1").weight
    5.0

    Raises:
        BadInput: an unknown name; the message lists the choices.
    """
    if name not in PENALTIES:
        raise BadInput(f"penalty {name!r} is not known; choose one of: {', '.join(PENALTIES)}")
    return PENALTIES[name]
