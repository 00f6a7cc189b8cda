"""Attacks as pure functions of a model, images in [0, 1] and labels; `ATTACKS` names them for the command line.

Only images that are classified right are attacked, so an accuracy under attack never counts an image that the clean
accuracy does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_convnorm.robustness.attacks.auto_attack import auto_attack
from gan_convnorm.robustness.attacks.gradient import ascend, fgsm, input_gradient, pgd
from gan_convnorm.robustness.attacks.margins import margins
from gan_convnorm.robustness.attacks.spsa import spsa
from gan_convnorm.robustness.attacks.square import square
from gan_convnorm.robustness.attacks.start import Model, ZeroGradient

__all__ = [
    "ATTACKS",
    "AttackSettings",
    "ZeroGradient",
    "ascend",
    "auto_attack",
    "fgsm",
    "input_gradient",
    "margins",
    "pgd",
    "spsa",
    "square",
]

#: directions in one step of SPSA
SPSA_SAMPLES = 32


@dataclass(frozen=True)
class AttackSettings:
    """Radius, steps and queries of the attacks of an evaluation.

    >>> settings = AttackSettings(eps=0.5, step=0.125, steps=2, queries=10)
    >>> model = lambda images: torch.stack([images.mean((1, 2, 3)), 1 - images.mean((1, 2, 3))], dim=1)
    >>> images, labels = torch.full((1, 1, 1, 1), 0.75), torch.tensor([0])
    >>> ATTACKS["fgsm"](model, images, labels, settings, torch.Generator()).item()
    0.25

    Attributes:
        eps: radius of the L-infinity ball, of images in [0, 1].
        step: length of PGD's step.
        steps: number of PGD's steps.
        queries: forwards of the network that a black-box attack may use for an image.
    """

    eps: float
    step: float
    steps: int
    queries: int


Attack = Callable[[Model, Tensor, Tensor, AttackSettings, torch.Generator], Tensor]

ATTACKS: dict[str, Attack] = {
    "fgsm": lambda model, images, labels, s, rng: fgsm(model, images, labels, eps=s.eps),
    "pgd": lambda model, images, labels, s, rng: pgd(
        model, images, labels, eps=s.eps, step=s.step, steps=s.steps, rng=rng
    ),
    "spsa": lambda model, images, labels, s, rng: spsa(
        model,
        images,
        labels,
        eps=s.eps,
        rng=rng,
        steps=max(1, s.queries // (2 * SPSA_SAMPLES)),
        samples=min(SPSA_SAMPLES, max(1, s.queries // 2)),
    ),
    "square": lambda model, images, labels, s, rng: square(
        model, images, labels, eps=s.eps, queries=s.queries, rng=rng
    ),
    "autoattack": lambda model, images, labels, s, rng: auto_attack(
        model, images, labels, eps=s.eps, seed=rng.initial_seed() % 2**31
    ),
}
