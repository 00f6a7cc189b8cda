"""The settings that decide how the two networks are trained."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from gan_convnorm.gan.ranges import Range, check_names, check_ranges
from gan_convnorm.objectives.objective import Objective

__all__ = ["Optimization"]

RANGES: dict[str, Range] = {
    "ada_kimg": (lambda x: 0 < x < math.inf, "above 0, and finite"),
    "steps": (lambda x: x >= 1, "1 or more"),
    "n_dis": (lambda x: 1 <= x <= 1000, "from 1 to 1,000"),
    "accumulate": (lambda x: 1 <= x <= 10**6, "from 1 to 1,000,000"),
    "gen_batch_size": (lambda x: 1 <= x <= 10**6, "from 1 to 1,000,000"),
    "gen_lr": (lambda x: 0 < x < math.inf, "above 0, and finite"),
    "disc_lr": (lambda x: 0 < x < math.inf, "above 0, and finite"),
    "beta1": (lambda x: 0 <= x < 1, "from 0 to below 1"),
    "beta2": (lambda x: 0 <= x < 1, "from 0 to below 1"),
    "ema_decay": (lambda x: 0 <= x <= 1, "from 0 to 1"),
}


@dataclass(frozen=True)
class Optimization:
    """Losses, steps and learning rates of a GAN's training.

    Args:
        loss: hinge, non_saturating, least_squares, wasserstein or relativistic.
        penalty: gradient penalty of the discriminator: wgan_gp, r1, r2 or dragan; none when not given.
        penalty_weight: its factor; its paper's when not given.
        gradient_normalization: normalize the whole critic by its gradient (GN-GAN).
        augmentation: of color, translation, cutout (DiffAugment) and flip, joined by commas; or ada (adaptive
            discriminator augmentation); for real and fake images.
        ada_kimg: thousands of real images in which ada's probability p can go from 0 to 1.
        steps: generator steps of the whole run; training stops there.
        n_dis: discriminator steps per generator step.
        gen_batch_size: images in a generator step; the discriminator's batch size when not given.
        accumulate: micro-batches of a step, whose gradients are summed: less memory, the same step without BatchNorm.
        gen_lr: Adam's learning rate for the generator, decayed linearly to 0 at `steps`.
        disc_lr: the same for the discriminator.
        beta1: Adam's decay of the first moment.
        beta2: Adam's decay of the second moment.
        ema_decay: decay of the generator's weight average per step, after a warm-up of (1 + t) / (10 + t).

    Raises:
        BadInput: a number out of its range, or a name that is no text.

    >>> Optimization(loss="wasserstein", penalty="wgan_gp", n_dis=5).objective().weight
    10.0
    >>> Optimization(steps=0)
    Traceback (most recent call last):
    ...
    gan_convnorm.errors.BadInput: steps is 0, and must be 1 or more
    """

    loss: str = "hinge"
    penalty: str | None = None
    penalty_weight: float | None = None
    gradient_normalization: bool = False
    augmentation: str = ""
    ada_kimg: float = 500.0
    steps: int = 1500
    n_dis: int = 1
    gen_batch_size: int | None = None
    accumulate: int = 1
    gen_lr: float = 2e-3
    disc_lr: float = 2e-3
    beta1: float = 0.0
    beta2: float = 0.9
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        check_names(vars(self), ("loss", "augmentation"))
        check_ranges(vars(self), RANGES)

    def objective(self, *, separate_batches: bool = False) -> Objective:
        """Return the losses of both networks.

        Args:
            separate_batches: the discriminator sees real and fake images in two forward passes.
        """
        return Objective(
            self.loss,
            self.penalty,
            self.penalty_weight,
            self.gradient_normalization,
            self.augmentation,
            self.ada_kimg,
            separate_batches=separate_batches,
        )

    def adam(self, parameters: Iterable[nn.Parameter], rate: float, *, fused: bool) -> torch.optim.Adam:
        """Return Adam for one network.

        Args:
            parameters: of the network.
            rate: the first learning rate.
            fused: update all parameters in one kernel, which CPUs and CUDA devices have.
        """
        return torch.optim.Adam(parameters, rate, (float(self.beta1), float(self.beta2)), fused=fused)

    def decay(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
        """Return the learning rate's linear decay to 0 at `steps`."""
        # A function of the step alone, so that a resumed run may have more steps.
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / self.steps))

    def apply_to(
        self, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LambdaLR, rate: float
    ) -> None:
        """Give an optimizer whose state was restored its rate and the options it was made with; its moments stay.

        Args:
            optimizer: of one network.
            schedule: its decay, at the step that the training goes on from.
            rate: the first learning rate.

        >>> chosen = Optimization(steps=8)
        >>> adam = chosen.adam([nn.Parameter(torch.zeros(1))], 0.5, fused=False)
        >>> chosen.apply_to(adam, chosen.decay(adam), rate=0.1)
        >>> adam.param_groups[0]["lr"]
        0.1
        """
        schedule.base_lrs = [rate] * len(optimizer.param_groups)
        now: list[float | torch.Tensor] = [rate * decay(schedule.last_epoch) for decay in schedule.lr_lambdas]
        for group, current in zip(optimizer.param_groups, now, strict=True):
            group |= {**optimizer.defaults, "initial_lr": rate, "lr": current}
        schedule._last_lr = now

    def share_of_average(self, step: int) -> float:
        """Return the weight of the generator's average so far, when weights are averaged after a generator step.

        Args:
            step: generator steps before this one; a warm-up lets a short run's average forget the untrained weights.

        >>> Optimization().share_of_average(0), Optimization().share_of_average(8)
        (0.0, 0.5)
        """
        return min(self.ema_decay, (1 + step) / (10 + step)) if step else 0.0
