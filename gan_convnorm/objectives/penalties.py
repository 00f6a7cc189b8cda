"""Gradient penalties: pure functions of (critic, real, fake), and a critic that is normalized by its own gradient.

A critic maps images (B, C, H, W) to scores (B,), an image's score depending on that image alone (no batch statistics);
labels are bound by the caller. All is computed outside autocast, in float32 for half-precision images, since second
derivatives of half-precision scores are of little worth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput

__all__ = ["PENALTIES", "Critic", "Penalty", "dragan", "find_penalty", "gradient_normalized", "r1", "r2", "wgan_gp"]

Critic = Callable[[Tensor], Tensor]


def r1(critic: Critic, real: Tensor, fake: Tensor, *, random: torch.Generator) -> Tensor:
    """mean ||grad D(x)||^2 at real images (Mescheder et al., ICML 2018, arXiv:1801.04406, eq. 9, without gamma / 2)."""
    return _gradients(critic, real).square().sum(dim=1).mean()


def r2(critic: Critic, real: Tensor, fake: Tensor, *, random: torch.Generator) -> Tensor:
    """mean ||grad D(G(z))||^2 at fake images (Mescheder et al., arXiv:1801.04406, eq. 10, without gamma / 2)."""
    return _gradients(critic, fake).square().sum(dim=1).mean()


def wgan_gp(critic: Critic, real: Tensor, fake: Tensor, *, random: torch.Generator) -> Tensor:
    """mean (||grad D(u x + (1 - u) G(z))|| - 1)^2, u uniform in [0, 1] per pair (Gulrajani et al., NeurIPS 2017,
    arXiv:1704.00028, eq. 3, without lambda).

    Raises:
        BadInput: real and fake images of unequal shapes.
    """
    if real.shape != fake.shape:
        raise BadInput(
            f"wgan_gp pairs real with fake images, and got shapes {tuple(real.shape)} and {tuple(fake.shape)}; make "
            "them equal"
        )
    # Under autocast generated images are of half precision and real ones are not.
    real, fake = _float32_at_least(real.detach()), _float32_at_least(fake.detach())
    return _distance_from_one(critic, fake + _uniform_each(real, random) * (real - fake))


def dragan(critic: Critic, real: Tensor, fake: Tensor, *, random: torch.Generator) -> Tensor:
    """mean (||grad D(x + u delta)|| - 1)^2 near real images (Kodali et al., 2017, arXiv:1705.07215, without
    lambda).

    As in the authors' code: delta is uniform in [0, std / 2] per pixel, std the standard deviation of all pixels of
    the batch, and u is uniform in [0, 1] per image. (The paper writes a normal delta.)
    """
    real = _float32_at_least(real.detach())
    delta = torch.rand(real.shape, generator=random).to(real) * (real.std(correction=0) / 2)
    return _distance_from_one(critic, real + _uniform_each(real, random) * delta)


def gradient_normalized(critic: Critic) -> Critic:
    """The critic D / (||grad D|| + |D|), in [-1, 1], with gradients of norm 1 at most where D is piecewise linear
    (Wu et al., GN-GAN, ICCV 2021, arXiv:2109.02235).

    The normalized critic is differentiable in its parameters and its images. It costs a backward pass in every
    forward, with gradients switched off too. Where D and its gradient are both 0, so is the score.
    """

    def normalized(images: Tensor) -> Tensor:
        needed = torch.is_grad_enabled()
        with torch.enable_grad(), _full_precision(images):
            images = _float32_at_least(images)
            images = images if images.requires_grad else images.detach().requires_grad_()
            scores = critic(images)
            (gradients,) = torch.autograd.grad(scores.sum(), images, create_graph=needed)
            scale = gradients.flatten(1).norm(dim=1) + scores.abs()
            scores = scores / scale.masked_fill(scale == 0, 1)
        return scores if needed else scores.detach()

    return normalized


def _gradients(critic: Critic, images: Tensor) -> Tensor:
    """grad D per image, flattened, shape (B, C H W); differentiable in the critic's parameters."""
    with torch.enable_grad(), _full_precision(images):
        images = _float32_at_least(images.detach()).requires_grad_()
        (gradients,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    return gradients.flatten(1)


def _distance_from_one(critic: Critic, images: Tensor) -> Tensor:
    return (_gradients(critic, images).norm(dim=1) - 1).square().mean()


def _uniform_each(images: Tensor, random: torch.Generator) -> Tensor:
    """One number in [0, 1) per image, to be broadcast; drawn on the CPU, the same on all devices."""
    return torch.rand(len(images), *[1] * (images.dim() - 1), generator=random).to(images)


def _full_precision(images: Tensor) -> torch.autocast:
    return torch.autocast(images.device.type, enabled=False)


def _float32_at_least(images: Tensor) -> Tensor:
    return images.to(torch.promote_types(images.dtype, torch.float32))


class _Penalize(Protocol):
    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, *, random: torch.Generator) -> Tensor: ...


@dataclass(frozen=True)
class Penalty:
    """A penalty and how much of it.

    Attributes:
        function: critic, real images, fake images and source of random numbers (on the CPU) to the batch's mean,
            without its weight; real and fake images get no gradient.
        weight: factor in the discriminator's loss, as its paper has it.
    """

    function: _Penalize
    weight: float


PENALTIES: dict[str, Penalty] = {
    # lambda = 10 (arXiv:1704.00028, section 4).
    "wgan_gp": Penalty(wgan_gp, 10.0),
    # gamma / 2 with gamma = 10 (arXiv:1801.04406).
    "r1": Penalty(r1, 5.0),
    "r2": Penalty(r2, 5.0),
    # lambda = 10 (arXiv:1705.07215).
    "dragan": Penalty(dragan, 10.0),
}


def find_penalty(name: str) -> Penalty:
    """The row of a name.

    Raises:
        BadInput: an unknown name; the message lists the choices.
    """
    if name not in PENALTIES:
        raise BadInput(f"penalty {name!r} is not known; choose one of: {', '.join(PENALTIES)}")
    return PENALTIES[name]
