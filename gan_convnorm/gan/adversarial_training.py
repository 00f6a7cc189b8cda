"""The steps of a GAN's training: two optimizers, n_dis, linear decay, an average of the generator's weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.gan.accumulation import micro_batches, step_rows
from gan_convnorm.gan.buffers import copy_buffers
from gan_convnorm.gan.optimization import Optimization
from gan_convnorm.gan.pretrained import Pretrained
from gan_convnorm.images.pixels import bytes_to_images
from gan_convnorm.layers.ocnn import norm_penalty
from gan_convnorm.networks import Discriminator, Generator
from gan_convnorm.objectives.objective import Objective
from gan_convnorm.random_streams import SharedRandom, random_for

__all__ = ["AdversarialTraining", "Batch"]

#: images of a data module, or a sequence of images and labels
Batch = Tensor | Sequence[Tensor]


class _Labelled(NamedTuple):
    """Images of shape (B, C, H, W) in [-1, 1], and classes (B,) or vectors (B, K), None for an unconditional GAN."""

    images: Tensor
    labels: Tensor | None


class AdversarialTraining(Pretrained):
    """How the two networks of a `GAN` train against each other; `GAN` builds them.

    >>> from gan_convnorm import GAN
    >>> issubclass(GAN, AdversarialTraining)
    True

    Attributes:
        generator: maps latents, and labels of a conditional GAN, to images.
        discriminator: maps images to outputs.
        generator_ema: the average of the generator's weights.
        objective: losses, penalties and augmentation.
        optimization: settings of the steps.
        penalized: networks with a norm that works by a penalty on the weights.
        latent_dim: length of a latent.
        num_classes: of a class-conditional GAN, or None.
        condition_size: numbers in each image's vector, or None.
        batches_per_step: discriminator steps in a generator step.
        steps: generator steps of the training.
        seed: seeds the noise.
        g_step: generator steps so far.
    """

    generator: Generator
    discriminator: Discriminator
    generator_ema: Generator
    objective: Objective
    optimization: Optimization
    penalized: set[nn.Module]
    latent_dim: int
    num_classes: int | None
    condition_size: int | None
    batches_per_step: int
    steps: int
    seed: int
    g_step: int

    @override
    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[torch.optim.lr_scheduler.LRScheduler]]:
        chosen, fused = self.optimization, self.device.type in ("cpu", "cuda")
        optimizers: list[torch.optim.Optimizer] = [
            chosen.adam(self.generator.parameters(), chosen.gen_lr, fused=fused),
            chosen.adam(self.discriminator.parameters(), chosen.disc_lr, fused=fused),
        ]
        return optimizers, [chosen.decay(optimizer) for optimizer in optimizers]

    @override
    def on_train_start(self) -> None:
        super().on_train_start()
        # Lightning has restored the rates and betas that a resumed run had; the user may have given others.
        schedules = cast("list[torch.optim.lr_scheduler.LambdaLR]", self.lr_schedulers())
        for optimizer, schedule, rate in zip(
            self._optimizers(), schedules, (self.optimization.gen_lr, self.optimization.disc_lr), strict=True
        ):
            self.optimization.apply_to(optimizer.optimizer, schedule, rate)

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Run one generator step and the discriminator steps before it.

        Args:
            batch: uint8 images (n_dis * B, C, H, W), or a sequence of them and, for a conditional GAN, classes or
                vectors.
            batch_idx: not used.

        Returns:
            "d_loss", the mean over the discriminator's steps, and "g_loss", scalars, of this process's share.
        """
        images, labels = _images_and_labels(batch, self.takes_labels)
        steps = list(step_rows(len(images), self.batches_per_step))
        rng = random_for("train", self.seed, self.g_step, device=self.device)
        shared = SharedRandom(rng, self.global_rank, self.trainer.world_size)
        # Randomness of single images (augmentation, penalties) differs on every process.
        own_rng = random_for("objective", self.seed, self.g_step, self.global_rank)
        disc_losses = []
        for rows in steps:
            pixels = bytes_to_images(images[rows], shared).to(self.dtype, memory_format=torch.channels_last)
            real = _Labelled(pixels, None if labels is None else labels[rows])
            disc_losses.append(self._discriminator_step(real, shared, own_rng))
        gen_loss = self._generator_step(real, shared, own_rng)
        self._average_weights()
        for schedule in cast("list[torch.optim.lr_scheduler.LRScheduler]", self.lr_schedulers()):
            schedule.step()
        self.g_step += 1
        losses = {"d_loss": torch.stack(disc_losses).mean(), "g_loss": gen_loss}
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and self.g_step % every == 0:
            self._log_losses(losses)
        if self.g_step >= self.steps:
            # Lightning validates once more before it stops.
            self.trainer.should_stop = True
        return losses

    def _discriminator_step(self, real: _Labelled, shared: SharedRandom, own_rng: torch.Generator) -> Tensor:
        _, optimizer = self._optimizers()
        count, accumulate = len(real.images), self.optimization.accumulate
        latents, labels = self._latents(count, shared, real)
        with torch.no_grad():
            fakes = [
                self._fakes(latents, labels, rows).images
                for rows in micro_batches(count, accumulate, own_rng, self.generator)
            ]
            fake = fakes[0] if accumulate == 1 else torch.cat(fakes)
        losses = (
            self.objective.discriminator_loss(self.discriminator, real.images, fake, real.labels, labels, own_rng, rows)
            * ((rows.stop - rows.start) / count)
            for rows in micro_batches(count, accumulate, own_rng, self.discriminator)
        )
        total = self._minimize(losses, self.discriminator, optimizer)
        if self.objective.adaptation is not None:
            self.objective.adaptation.advance(count * self.trainer.world_size, self.trainer.strategy.reduce)
        return total

    def _generator_step(self, real: _Labelled, shared: SharedRandom, own_rng: torch.Generator) -> Tensor:
        optimizer, _ = self._optimizers()
        self.toggle_optimizer(optimizer)  # no gradients for the discriminator's weights
        count = self.optimization.gen_batch_size or len(real.images)
        latents, labels = self._latents(count, shared, real)

        def loss(rows: slice) -> Tensor:
            fake = self._fakes(latents, labels, rows)
            real_labels = None if real.labels is None else real.labels[rows]
            weight = (rows.stop - rows.start) / count
            return weight * self.objective.generator_loss(
                self.discriminator, fake.images, fake.labels, real.images[rows], real_labels, own_rng, rows.start, count
            )

        # Both networks' norms advance.
        both = nn.ModuleList([self.generator, self.discriminator])
        losses = map(loss, micro_batches(count, self.optimization.accumulate, own_rng, both))
        total = self._minimize(losses, self.generator, optimizer)
        self.untoggle_optimizer(optimizer)
        return total

    def _optimizers(self) -> tuple[LightningOptimizer, LightningOptimizer]:
        return cast("tuple[LightningOptimizer, LightningOptimizer]", self.optimizers())

    def _minimize(self, losses: Iterable[Tensor], network: nn.Module, optimizer: LightningOptimizer) -> Tensor:
        """Take one step against the sum of the losses, each with its own backward, and return the sum."""
        optimizer.zero_grad()
        total: list[Tensor] = []
        for loss in losses:
            penalized = network in self.penalized and not total  # of the weights, so once a step
            self.manual_backward(loss + norm_penalty(network) if penalized else loss)
            total.append(loss.detach())
        optimizer.step()
        return torch.stack(total).sum()

    def _latents(self, count: int, shared: SharedRandom, real: _Labelled) -> tuple[Tensor, Tensor | None]:
        """Return latents, and labels of a conditional GAN: random classes, or the vectors of the real images."""
        latents = shared.normal(count, self.latent_dim).to(self.dtype)
        if self.condition_size is not None:
            assert real.labels is not None
            return latents, real.labels[torch.arange(count, device=self.device) % len(real.labels)]
        return latents, None if self.num_classes is None else shared.whole(count, self.num_classes)

    def _fakes(self, latents: Tensor, labels: Tensor | None, rows: slice) -> _Labelled:
        chosen = None if labels is None else labels[rows]
        return _Labelled(self.generator(latents[rows], chosen), chosen)

    @torch.no_grad()
    def _average_weights(self) -> None:
        """Average the generator's parameters (EMA), and copy its buffers (BatchNorm's statistics, a norm's vectors)."""
        # The step is known on the host: torch's AveragedModel waits for the device to read its own count.
        kept = self.optimization.share_of_average(self.g_step)
        averaged, current = self.generator_ema, self.generator
        torch._foreach_lerp_(list(averaged.parameters()), list(current.parameters()), 1 - kept)
        copy_buffers(current, averaged)

    def _log_losses(self, losses: dict[str, Tensor]) -> None:
        # To read the losses the host waits for the device, so it does not in every step.
        values = {name: float(self.trainer.strategy.reduce(loss)) for name, loss in losses.items()}
        logged = values if self.objective.adaptation is None else values | {"ada_p": self.objective.adaptation.p}
        # Not through self.log: a checkpoint at the end of this step must find the row written.
        for logger in self.loggers:
            logger.log_metrics(logged, self.g_step)
            logger.save()
        self.log_dict(values, prog_bar=True, logger=False)


def _images_and_labels(batch: Batch, conditional: bool) -> tuple[Tensor, Tensor | None]:
    images, *labels = batch if isinstance(batch, (tuple, list)) else (batch,)
    if not conditional:
        return images, None
    if not labels:
        raise BadInput("conditional is asked for, and the data module yields images without labels")
    return images, labels[0]
