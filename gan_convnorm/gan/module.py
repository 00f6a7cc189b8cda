"""The GAN as a LightningModule: two optimizers, n_dis, linear decay, an average of the generator's weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.gan.sampling import Sampler
from gan_convnorm.images.pixels import bytes_to_images
from gan_convnorm.layers.ocnn import norm_penalty
from gan_convnorm.networks.registry import find_networks
from gan_convnorm.noise import SharedRandom, random_for
from gan_convnorm.objectives.objective import Objective
from gan_convnorm.run_folder import FromCheckpoint, RunSettings

__all__ = ["GAN"]

#: names of arguments, the test that each must pass (NaN passes none), and the test in words
RANGES: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (("steps", "resolution"), lambda x: x >= 1, "1 or more"),
    (("n_dis",), lambda x: 1 <= x <= 1000, "from 1 to 1,000"),
    (("latent_dim", "channels"), lambda x: 1 <= x <= 65536, "from 1 to 65,536"),
    (("gen_batch_size",), lambda x: 1 <= x <= 10**6, "from 1 to 1,000,000"),
    (("seed",), lambda x: 0 <= x < 2**32, "from 0 to 2^32 - 1"),
    (("num_classes", "attention"), lambda x: x >= 1, "1 or more"),
    (("width",), lambda x: 0 < x <= 100, "above 0, and at most 100"),
    (("gen_lr", "disc_lr"), lambda x: 0 < x < math.inf, "above 0, and finite"),
    (("beta1", "beta2"), lambda x: 0 <= x < 1, "from 0 to below 1"),
    (("ema_decay",), lambda x: 0 <= x <= 1, "from 0 to 1"),
)


class GAN(Sampler, FromCheckpoint):
    """A GAN with an exchangeable discriminator normalization.

    A training step is one generator step: `n_dis` discriminator steps, each on its share of the batch, then one step
    of the generator. So Lightning's batch count is the count of generator steps, and a data module must put
    `n_dis` times the discriminator's batch in a batch (`batches_per_step` tells it).

    The defaults are those of the digits run of a few minutes; the published settings are in configs/.

    Args:
        resolution: side of the images in pixels; the data module's.
        channels: channels of the images; the data module's.
        num_classes: number of classes of the images; the data module's.
        network: architecture of both networks: sngan (ResNet), dcgan, or package.module:Name of your own.
        row: channels and sizes of a network of one's own, see `networks.rows.Row`.
        attention: side in pixels of the feature maps that self-attention follows; none when not given.
        conditional: class-conditional generator (batch normalization) and discriminator (projection).
        head_bias: a bias on the discriminator's last layer, as torch-mimicry has it.
        width: factor on the networks' channels; 1 is the published network.
        latent_dim: length of the noise vectors.
        disc_norm: normalization of the discriminator: a name of docs/norms.md, or package.module:Name of your own.
        disc_norm_options: its options, such as {"gain": "lipschitz"} for convnorm.
        gen_norm: normalization of the generator, the same.
        gen_norm_options: its options.
        loss: hinge, non_saturating, least_squares, wasserstein or relativistic.
        penalty: gradient penalty of the discriminator: wgan_gp, r1, r2 or dragan; none when not given.
        penalty_weight: its factor; its paper's when not given.
        gradient_normalization: normalize the whole critic by its gradient (GN-GAN).
        augmentation: of color, translation, cutout (DiffAugment) and flip, joined by commas; for real and fake images.
        steps: generator steps of the whole run; training stops there.
        n_dis: discriminator steps per generator step.
        gen_batch_size: images in a generator step; the discriminator's batch size when not given.
        gen_lr: Adam's learning rate for the generator, decayed linearly to 0 at `steps`.
        disc_lr: the same for the discriminator.
        beta1: Adam's decay of the first moment.
        beta2: Adam's decay of the second moment.
        ema_decay: decay of the generator's weight average per step, after a warm-up of (1 + t) / (10 + t).
        compile_networks: compile both networks with `torch.compile`; names in checkpoints stay as they are.
        seed: seeds the noise; the run's seed.
    """

    optimizer_count = 2
    program = "gan"
    named = ("network", "disc_norm", "gen_norm")
    architecture = (
        "resolution",
        "channels",
        "network",
        "row",
        "attention",
        "conditional",
        "head_bias",
        "width",
        "latent_dim",
        "disc_norm",
        "disc_norm_options",
        "gen_norm",
        "gen_norm_options",
    )

    def __init__(
        self,
        resolution: int = 16,
        channels: int = 1,
        num_classes: int | None = None,
        network: str = "sngan",
        row: dict[str, Any] | None = None,
        attention: int | None = None,
        conditional: bool = False,
        head_bias: bool = False,
        width: float = 0.25,
        latent_dim: int = 128,
        disc_norm: str = "spectral",
        disc_norm_options: dict[str, Any] | None = None,
        gen_norm: str = "batch",
        gen_norm_options: dict[str, Any] | None = None,
        loss: str = "hinge",
        penalty: str | None = None,
        penalty_weight: float | None = None,
        gradient_normalization: bool = False,
        augmentation: str = "",
        steps: int = 1500,
        n_dis: int = 1,
        gen_batch_size: int | None = None,
        gen_lr: float = 2e-3,
        disc_lr: float = 2e-3,
        beta1: float = 0.0,
        beta2: float = 0.9,
        ema_decay: float = 0.999,
        compile_networks: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        _check_numbers(locals())
        self.save_hyperparameters()
        # Two networks step in turn, which Lightning leaves to manual optimization.
        self.automatic_optimization = False
        self.objective = Objective(loss, penalty, penalty_weight, gradient_normalization, augmentation)
        if conditional and num_classes is None:
            raise BadInput("conditional is asked for, and the data has no classes; give labelled data")
        self.num_classes = num_classes if conditional else None
        classes = find_networks(network)
        common: dict[str, Any] = {"num_classes": self.num_classes, "attention": attention, "row": row}
        self.generator = classes.generator(
            resolution, channels, latent_dim, width, gen_norm, gen_norm_options, **common
        )
        self.discriminator = classes.discriminator(
            resolution, channels, width, disc_norm, disc_norm_options, head_bias=head_bias, **common
        )
        for each in (self.generator, self.discriminator):
            # Convolutions are faster with the channels innermost, on a CPU by a fifth.
            each.to(memory_format=torch.channels_last)
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.batches_per_step = n_dis
        self.steps = steps
        self.seed = seed
        self.latent_dim = latent_dim
        self.gen_batch_size = gen_batch_size
        self.g_step = 0

    def configure_optimizers(self) -> Any:
        h: Any = self.hparams
        betas = (float(h.beta1), float(h.beta2))
        fused = self.device.type in ("cpu", "cuda")
        optimizers = [
            torch.optim.Adam(network.parameters(), rate, betas, fused=fused)
            for network, rate in ((self.generator, h.gen_lr), (self.discriminator, h.disc_lr))
        ]
        # A function of the step alone, so that a resumed run may have more steps.
        schedules = [
            torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / self.steps))
            for optimizer in optimizers
        ]
        return optimizers, schedules

    def on_fit_start(self) -> None:
        if self.hparams["compile_networks"]:
            # Each network for itself: as a whole the module breaks the graph at every optimizer step.
            self.generator.compile()
            self.discriminator.compile()

    def on_train_start(self) -> None:
        # A finished run that is resumed has nothing left to do, not one step more.
        self.trainer.should_stop = self.g_step >= self.steps

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """One generator step.

        Args:
            batch: uint8 images (n_dis * B, C, H, W), or a sequence of them and, for a conditional GAN, labels.
            batch_idx: not used.

        Returns:
            "d_loss", the mean over the discriminator's steps, and "g_loss", scalars, of this process's share.
        """
        images, labels = _images_and_labels(batch, self.num_classes)
        gen_optimizer, disc_optimizer = self.optimizers()  # type: ignore[attr-defined]
        if len(images) < self.batches_per_step:
            raise BadInput(
                f"a batch has {len(images)} images, fewer than the {self.batches_per_step} discriminator steps (n_dis) "
                "that share it; drop the data's last, smaller batch (drop_last)"
            )
        generator = random_for("train", self.seed, self.g_step, device=self.device)
        random = SharedRandom(generator, self.global_rank, self.trainer.world_size)
        # What is drawn for an image alone; a process's own.
        own = random_for("objective", self.seed, self.g_step, self.global_rank)
        disc_losses = []
        for rows in torch.arange(len(images)).tensor_split(self.batches_per_step):
            share = slice(int(rows[0]), int(rows[-1]) + 1)
            real = bytes_to_images(images[share], random).to(self.dtype, memory_format=torch.channels_last)
            real_labels = None if labels is None else labels[share]
            with torch.no_grad():
                fake, fake_labels = self._fakes(len(real), random)
            loss = self.objective.discriminator_loss(self.discriminator, real, fake, real_labels, fake_labels, own)
            disc_losses.append(self._step(disc_optimizer, loss, self.discriminator))
        self.toggle_optimizer(gen_optimizer)  # no gradients for the discriminator's weights
        fake, fake_labels = self._fakes(self.gen_batch_size or len(real), random)
        loss = self.objective.generator_loss(self.discriminator, fake, fake_labels, real, real_labels, own)
        gen_loss = self._step(gen_optimizer, loss, self.generator)
        self.untoggle_optimizer(gen_optimizer)
        self._average_weights()
        for schedule in self.lr_schedulers():  # type: ignore[union-attr]
            schedule.step()
        self.g_step += 1
        losses = {"d_loss": torch.stack(disc_losses).mean(), "g_loss": gen_loss}
        trainer: Any = self.trainer
        if self.g_step % trainer.log_every_n_steps == 0:
            self._log_losses(losses)
        if self.g_step >= self.steps:
            # Lightning validates once more before it stops.
            trainer.should_stop = True
        return losses

    def _step(self, optimizer: Any, loss: Tensor, network: nn.Module) -> Tensor:
        optimizer.zero_grad()
        self.manual_backward(loss + norm_penalty(network))  # of norms that work by a penalty
        optimizer.step()
        return loss.detach()

    def _fakes(self, count: int, random: SharedRandom) -> tuple[Tensor, Tensor | None]:
        noise = random.normal(count, self.latent_dim).to(self.dtype)
        labels = None if self.num_classes is None else random.whole(count, self.num_classes)
        return self.generator(noise, labels), labels

    @torch.no_grad()
    def _average_weights(self) -> None:
        """EMA of the generator's parameters; its buffers (BatchNorm's statistics, a norm's vectors) are copied."""
        # The warm-up lets a short run's average forget the untrained weights. The step is known on the host:
        # torch's AveragedModel waits for the device to read its own count.
        step = self.g_step
        decay = min(self.hparams["ema_decay"], (1 + step) / (10 + step)) if step else 0.0
        averaged, current = self.generator_ema, self.generator
        torch._foreach_lerp_(list(averaged.parameters()), list(current.parameters()), 1 - decay)
        for buffer, value in zip(averaged.buffers(), current.buffers(), strict=True):
            buffer.copy_(value)

    def _log_losses(self, losses: dict[str, Tensor]) -> None:
        """Reads the losses, for which the host waits for the device: every so many steps alone."""
        values = {name: float(self.trainer.strategy.reduce(loss)) for name, loss in losses.items()}
        # Not through self.log: a checkpoint at the end of this step must find the row written.
        for logger in self.loggers:
            logger.log_metrics(values, self.g_step)
            logger.save()
        self.log_dict(values, prog_bar=True, logger=False)

    def generator_with(self, *, ema: bool) -> nn.Module:
        """The network with the averaged weights, or with the current ones."""
        return self.generator_ema if ema else self.generator

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The images that a batch of arguments of `sample` asks for."""
        return self.sample(**batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Nothing: the scores are the callbacks' work."""

    test_step = validation_step

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["g_step"] = self.g_step

    @classmethod
    def settings_in(cls, checkpoint: dict[str, Any], source: object) -> RunSettings:
        step = checkpoint.get("g_step")
        if isinstance(step, bool) or not isinstance(step, int) or step < 0:
            raise BadInput(f"{source} has the g_step {step!r:.40}; expected the number of steps so far")
        return super().settings_in(checkpoint, source)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.g_step = checkpoint["g_step"]


def _check_numbers(given: dict[str, Any]) -> None:
    for name in ("network", "disc_norm", "gen_norm", "loss", "augmentation"):
        if not isinstance(given[name], str):
            raise BadInput(f"{name} is {given[name]!r:.40}; expected a name")
    for names, bounds, right in RANGES:
        for name in names:
            value = given[name]
            if value is not None and not bounds(value):
                raise BadInput(f"{name} is {value}, and must be {right}")


def _images_and_labels(batch: Any, num_classes: int | None) -> tuple[Tensor, Tensor | None]:
    images, *labels = batch if isinstance(batch, (tuple, list)) else (batch,)
    if num_classes is None:
        return images, None
    if not labels:
        raise BadInput("conditional is asked for, and the data module yields images without labels")
    return images, labels[0]
