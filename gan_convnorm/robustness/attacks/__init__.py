"""Attacks as pure functions of a model, images in [0, 1] and labels; `ATTACKS` names them for the command line.

They attack the images that are classified right, so that no accuracy under attack counts an image that the clean
accuracy does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_convnorm.robustness.attacks.auto_attack import auto_attack
from gan_convnorm.robustness.attacks.black_box import margins, spsa, square
from gan_convnorm.robustness.attacks.gradient import ascend, fgsm, input_gradient, pgd
from gan_convnorm.robustness.attacks.start import Model, NotAttacked

__all__ = [
    "ATTACKS",
    "AttackSettings",
    "NotAttacked",
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
    """What the attacks of an evaluation have in common.

    Attributes:
        eps: radius of the L-infinity ball, of images in [0, 1].
        step: length of PGD's step.
        steps: number of PGD's steps.
        queries: forwards that a black-box attack may use per image.
    """

    eps: float
    step: float
    steps: int
    queries: int


Attack = Callable[[Model, Tensor, Tensor, AttackSettings, torch.Generator], Tensor]

ATTACKS: dict[str, Attack] = {
    "fgsm": lambda model, images, labels, s, random: fgsm(model, images, labels, eps=s.eps),
    "pgd": lambda model, images, labels, s, random: pgd(
        model, images, labels, eps=s.eps, step=s.step, steps=s.steps, random=random
    ),
    "spsa": lambda model, images, labels, s, random: spsa(
        model,
        images,
        labels,
        eps=s.eps,
        random=random,
        steps=max(1, s.queries // (2 * SPSA_SAMPLES)),
        samples=min(SPSA_SAMPLES, max(1, s.queries // 2)),
    ),
    "square": lambda model, images, labels, s, random: square(
        model, images, labels, eps=s.eps, queries=s.queries, random=random
    ),
    "autoattack": lambda model, images, labels, s, random: auto_attack(
        model, images, labels, eps=s.eps, seed=random.initial_seed() % 2**31
    ),
}
