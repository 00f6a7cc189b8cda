"""Gradient penalties: pure functions of (critic, real, fake), and a critic that is normalized by its own gradient.

A critic maps images (B, C, H, W) to scores (B,), an image's score depending on that image alone (no batch statistics);
labels are bound by the caller. Penalties are computed outside autocast, in float32 for half-precision images, because
second derivatives of half-precision scores are too inexact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput

__all__ = [
    "PENALTIES",
    "Critic",
    "Penalty",
    "distance_from_one",
    "dragan",
    "find_penalty",
    "gradient_normalized",
    "r1",
    "r2",
    "wgan_gp",
]

Critic = Callable[[Tensor], Tensor]


def r1(critic: Critic, real: Tensor, fake: Tensor, *, rng: torch.Generator) -> Tensor:
    """Return mean ||grad D(x)||^2 at real images.

    The source is Mescheder et al. (ICML 2018, arXiv:1801.04406), eq. 9 without its factor gamma / 2.

    >>> images = torch.zeros(2, 1, 1, 2)
    >>> rng = torch.Generator().manual_seed(0)
    >>> r1(lambda x: (3 * x).sum(dim=(1, 2, 3)), images, images, rng=rng).detach()  # 3^2 + 3^2
    tensor(18.)

    Args:
        critic: maps images (B, C, H, W) to scores (B,).
        real: images x, shape (B, C, H, W).
        fake: images G(z), shape (B, C, H, W).
        rng: not used.

    Returns:
        A scalar, zero or above, differentiable in the critic's parameters.
    """
    return _gradients(critic, real).square().sum(dim=1).mean()


def r2(critic: Critic, real: Tensor, fake: Tensor, *, rng: torch.Generator) -> Tensor:
    """Return mean ||grad D(G(z))||^2 at fake images.

    The source is Mescheder et al. (ICML 2018, arXiv:1801.04406), eq. 10 without its factor gamma / 2.

    >>> images = torch.zeros(2, 1, 1, 2)
    >>> rng = torch.Generator().manual_seed(0)
    >>> r2(lambda x: (3 * x).sum(dim=(1, 2, 3)), images, images, rng=rng).detach()  # 3^2 + 3^2
    tensor(18.)

    Args:
        critic: maps images (B, C, H, W) to scores (B,).
        real: images x, shape (B, C, H, W).
        fake: images G(z), shape (B, C, H, W).
        rng: not used.

    Returns:
        A scalar, zero or above, differentiable in the critic's parameters.
    """
    return _gradients(critic, fake).square().sum(dim=1).mean()


def wgan_gp(critic: Critic, real: Tensor, fake: Tensor, *, rng: torch.Generator) -> Tensor:
    """Return mean (||grad D(u x + (1 - u) G(z))|| - 1)^2, with u uniform in [0, 1] for each pair.

    The source is Gulrajani et al. (NeurIPS 2017, arXiv:1704.00028), eq. 3 without its factor lambda.

    >>> images = torch.zeros(2, 1, 1, 2)
    >>> rng = torch.Generator().manual_seed(0)
    >>> wgan_gp(lambda x: (3 * x).sum(dim=(1, 2, 3)), images, images, rng=rng).detach()  # (sqrt(18) - 1)^2
    tensor(10.5147)

    Args:
        critic: maps images (B, C, H, W) to scores (B,).
        real: images x, shape (B, C, H, W).
        fake: images G(z), shape (B, C, H, W).
        rng: source of u, on the CPU.

    Returns:
        A scalar, zero or above, differentiable in the critic's parameters.

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
    real, fake = _float32_at_least(real.detach()), _float32_at_least(fake.detach())
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

    Args:
        critic: maps images (B, C, H, W) to scores (B,).
        real: images x, shape (B, C, H, W).
        fake: images G(z), shape (B, C, H, W).
        rng: source of delta and u, on the CPU.

    Returns:
        A scalar, zero or above, differentiable in the critic's parameters.
    """
    return distance_from_one(critic, _near(real, fake, rng))


def _near(real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    real = _float32_at_least(real.detach())
    delta = torch.rand(real.shape, generator=rng).to(real) * (real.std(correction=0) / 2)
    return real + _uniform_each(real, rng) * delta


def gradient_normalized(critic: Critic) -> Critic:
    """Return the critic D / (||grad D|| + |D|), with scores in [-1, 1] (Wu et al., ICCV 2021, arXiv:2109.02235).

    Its gradients have norm 1 at most where D is piecewise linear. It is differentiable in its parameters and images.
    Each forward costs a backward pass, also with gradients switched off. The score is 0 where D and its gradient are.

    >>> critic = gradient_normalized(lambda x: (3 * x).sum(dim=(1, 2, 3)))
    >>> critic(torch.ones(1, 1, 1, 1)).detach()  # 3 / (3 + 3)
    tensor([0.5000])

    Args:
        critic: D, maps images (B, C, H, W) to scores (B,).
    """

    def normalized(images: Tensor) -> Tensor:
        needed = torch.is_grad_enabled()
        with torch.enable_grad(), _full_precision(images):
            images = _float32_at_least(images)
            images = images if images.requires_grad else images.detach().requires_grad_()
            scores = critic(images)
            (gradients,) = torch.autograd.grad(scores.sum(), images, create_graph=needed)
            scale = gradients.flatten(1).norm(dim=1) + scores.abs()
            normalized_scores: Tensor = scores / scale.masked_fill(scale == 0, 1)
        return normalized_scores if needed else normalized_scores.detach()

    return normalized


def _gradients(critic: Critic, images: Tensor) -> Tensor:
    """Return grad D for each image, shape (B, C H W); differentiable in the critic's parameters."""
    with torch.enable_grad(), _full_precision(images):
        images = _float32_at_least(images.detach()).requires_grad_()
        (gradients,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    flattened: Tensor = gradients.flatten(1)
    return flattened


def distance_from_one(critic: Critic, images: Tensor) -> Tensor:
    """Return mean (||grad D(x)|| - 1)^2 at images x, a scalar.

    >>> distance_from_one(lambda x: (3 * x).sum(dim=(1, 2, 3)), torch.zeros(2, 1, 1, 1)).detach()  # (3 - 1)^2
    tensor(4.)
    """
    distance: Tensor = _gradients(critic, images).norm(dim=1) - 1
    return distance.square().mean()


def _uniform_each(images: Tensor, rng: torch.Generator) -> Tensor:
    """Return one number in [0, 1) for each image, shape (B, 1, ...); drawn on the CPU, the same on all devices."""
    return torch.rand(len(images), *[1] * (images.dim() - 1), generator=rng).to(images)


def _full_precision(images: Tensor) -> torch.autocast:
    return torch.autocast(images.device.type, enabled=False)


def _float32_at_least(images: Tensor) -> Tensor:
    return images.to(torch.promote_types(images.dtype, torch.float32))


class _Penalize(Protocol):
    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, *, rng: torch.Generator) -> Tensor: ...


@dataclass(frozen=True)
class Penalty:
    """A penalty and its weight.

    Attributes:
        function: maps critic, real images, fake images and rng (on the CPU) to the batch's mean, without its weight;
            real and fake images get no gradient.
        weight: factor in the discriminator's loss, as in its paper.
        points: of a penalty that draws numbers, or needs the whole batch: maps real images, fake images and rng to the
            images at which it takes `distance_from_one`, so that a micro-batch can have its rows of them.
    """

    function: _Penalize
    weight: float
    points: Callable[[Tensor, Tensor, torch.Generator], Tensor] | None = None


PENALTIES: dict[str, Penalty] = {
    # lambda = 10 (arXiv:1704.00028, section 4).
    "wgan_gp": Penalty(wgan_gp, 10.0, _between),
    # gamma / 2 with gamma = 10 (arXiv:1801.04406).
    "r1": Penalty(r1, 5.0),
    "r2": Penalty(r2, 5.0),
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
