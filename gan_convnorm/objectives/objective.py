"""The number that each network minimizes: a loss of the discriminator's outputs, with a penalty, from images."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.execution import autocast_off, exact_dtype
from gan_convnorm.objectives.adaptation import Adaptation
from gan_convnorm.objectives.adaptive_augmentation import augment_adaptively
from gan_convnorm.objectives.augmentation import augment, parse_policy
from gan_convnorm.objectives.critic_gradients import distance_from_one
from gan_convnorm.objectives.gradient_normalization import gradient_normalized
from gan_convnorm.objectives.losses import find_loss
from gan_convnorm.objectives.penalties import find_penalty

__all__ = ["Objective", "mixes_images"]

ADAPTIVE = "ada"
#: losses with which D(x) > 0 says that x is real
SIGNED = ("hinge", "non_saturating")


class Objective:
    """Losses of both networks from a batch of images.

    >>> class Mean(nn.Module):
    ...     def forward(self, images, labels):
    ...         return images.mean(dim=(1, 2, 3))
    >>> real, fake = torch.full((2, 1, 4, 4), 0.5), torch.full((2, 1, 4, 4), -0.25)
    >>> Objective("hinge").discriminator_loss(Mean(), real, fake, None, None, torch.Generator())  # 0.5 + 0.75
    tensor(1.2500)

    Args:
        loss: a name of `losses.LOSSES`.
        penalty: a name of `penalties.PENALTIES`, or None.
        penalty_weight: its factor, 0 or above; None for that of its paper.
        gradient_normalization: True for the critic D / (||grad D|| + |D|) (GN-GAN).
        augmentation: names of `augmentation.AUGMENTATIONS`, joined by commas, for real and fake images alike; or ada,
            adaptive discriminator augmentation.
        ada_kimg: thousands of real images in which ada's probability p can go from 0 to 1.
        separate_batches: the discriminator sees real and fake images in two forward passes, as one that `mixes_images`
            must.

    Raises:
        BadInput: an unknown name; a weight without a penalty, or below 0; ada with a loss whose outputs have no sign.
    """

    def __init__(
        self,
        loss: str = "hinge",
        penalty: str | None = None,
        penalty_weight: float | None = None,
        gradient_normalization: bool = False,
        augmentation: str = "",
        ada_kimg: float = 500.0,
        *,
        separate_batches: bool = False,
    ) -> None:
        self.loss = find_loss(loss)
        self.penalty = find_penalty(penalty) if penalty is not None else None
        adaptive = augmentation.strip() == ADAPTIVE
        if adaptive and loss not in SIGNED:
            raise BadInput(
                f"ada reads overfitting from the sign of D(real), to which the loss {loss} gives no meaning; choose "
                f"one of: {', '.join(SIGNED)}, or another augmentation"
            )
        self.policy = () if adaptive else parse_policy(augmentation)
        self.adaptation = Adaptation(ada_kimg) if adaptive else None
        self.gradient_normalization = gradient_normalization
        self.separate_batches = separate_batches
        if penalty_weight is not None and (self.penalty is None or not 0 <= penalty_weight < math.inf):
            what = "there is no penalty" if self.penalty is None else "it must be 0 or above, and finite"
            raise BadInput(f"penalty_weight is {penalty_weight:g}, and {what}")
        default = self.penalty.weight if self.penalty is not None else 0.0
        self.weight = default if penalty_weight is None else penalty_weight

    def discriminator_loss(
        self,
        discriminator: nn.Module,
        real: Tensor,
        fake: Tensor,
        real_labels: Tensor | None,
        fake_labels: Tensor | None,
        rng: torch.Generator,
        rows: slice = slice(None),
    ) -> Tensor:
        """Return the discriminator's loss.

        Args:
            discriminator: maps (images, labels) to outputs (B,).
            real: images (B, C, H, W).
            fake: images of the generator, without its gradient.
            real_labels: classes (B,); None without classes.
            fake_labels: the classes that the fakes were made for, likewise.
            rng: source of augmentations and penalties, on the CPU.
            rows: a micro-batch, the loss of which is asked for; draws are those of the whole batch.

        Returns:
            A scalar, float32 or wider.
        """
        real, fake = self._augment(real, rng), self._augment(fake, rng)
        penalty = self.penalty if self.weight > 0 else None
        points = None if penalty is None or penalty.points is None else penalty.points(real, fake, rng)[rows]
        real, fake = real[rows], fake[rows]
        real_labels = None if real_labels is None else real_labels[rows]
        fake_labels = None if fake_labels is None else fake_labels[rows]
        if self.separate_batches:
            # The generator's step shows it fakes alone, so it must not learn from statistics of both.
            real_outputs = self._outputs(discriminator, real, real_labels)
            fake_outputs = self._outputs(discriminator, fake, fake_labels)
        else:
            # One forward for both: a norm's state advances, and its weight is computed, once a step.
            labels = None if real_labels is None or fake_labels is None else torch.cat([real_labels, fake_labels])
            outputs = self._outputs(discriminator, torch.cat([real, fake]), labels)
            real_outputs, fake_outputs = outputs[: len(real)], outputs[len(real) :]
        if self.adaptation is not None:
            self.adaptation.see(real_outputs)
        loss = self.loss.discriminator(real_outputs, fake_outputs)
        if penalty is not None:
            critic = self._critic(discriminator, fake_labels if penalty.of_fakes else real_labels)
            size = (
                penalty.function(critic, real, fake, rng=rng) if points is None else distance_from_one(critic, points)
            )
            loss = loss + self.weight * size
        return loss

    def generator_loss(
        self,
        discriminator: nn.Module,
        fake: Tensor,
        fake_labels: Tensor | None,
        real: Tensor,
        real_labels: Tensor | None,
        rng: torch.Generator,
        start: int = 0,
        whole: int | None = None,
    ) -> Tensor:
        """Return the generator's loss.

        Args:
            discriminator: as in `discriminator_loss`.
            fake: images of the generator, with its gradient.
            fake_labels: as in `discriminator_loss`.
            real: images, which only a loss with `uses_real` looks at.
            real_labels: as in `discriminator_loss`.
            rng: source of augmentations, on the CPU.
            start: the first image's place in a batch of `whole` images, of which these are a micro-batch.
            whole: images of that batch; B when not given.

        Returns:
            A scalar, float32 or wider.
        """
        outputs = self._outputs(discriminator, self._augment(fake, rng, start, whole), fake_labels)
        if not self.loss.uses_real:
            return self.loss.generator(outputs, None)
        with torch.no_grad():
            real = self._augment(real, rng, start, whole)
            real_outputs = self._outputs(discriminator, real, real_labels)
        return self.loss.generator(outputs, real_outputs)

    def _augment(self, images: Tensor, rng: torch.Generator, start: int = 0, whole: int | None = None) -> Tensor:
        if self.adaptation is None and not self.policy:
            return images
        # Under autocast real images are float32 and fakes are not: what is done to both must not tell them apart.
        with autocast_off(images.device):
            images = exact_dtype(images)
            if self.adaptation is not None:
                return augment_adaptively(images, self.adaptation.p, rng, start=start, whole=whole)
            return augment(images, self.policy, rng, start=start, whole=whole)

    def _outputs(self, discriminator: nn.Module, images: Tensor, labels: Tensor | None) -> Tensor:
        if self.gradient_normalization:
            return gradient_normalized(self._critic(discriminator, labels))(images)
        outputs: Tensor = discriminator(images, labels)
        # The loss is computed in float32, also of half-precision outputs.
        return exact_dtype(outputs)

    @staticmethod
    def _critic(discriminator: nn.Module, labels: Tensor | None) -> Callable[[Tensor], Tensor]:
        # Not through a compiled call, whose backward cannot be differentiated again.
        return lambda images: discriminator.forward(images, labels)


def mixes_images(network: nn.Module) -> bool:
    """Return True if an image's outputs depend on the other images of its batch: the network has a BatchNorm.

    >>> mixes_images(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
    True
    """
    return any(isinstance(module, _BatchNorm) for module in network.modules())
