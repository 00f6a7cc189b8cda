"""The GAN as a LightningModule: two optimizers, n_dis, linear decay, an average of the generator's weights."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any, NamedTuple, Self, cast

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.gan.accumulation import micro_batches, shares
from gan_convnorm.gan.architecture import Architecture
from gan_convnorm.gan.optimization import Optimization
from gan_convnorm.gan.pretrained import Pretrained
from gan_convnorm.gan.ranges import Range, check_ranges
from gan_convnorm.images.pixels import bytes_to_images
from gan_convnorm.images.size import Size
from gan_convnorm.layers.ocnn import norm_penalty
from gan_convnorm.noise import SharedRandom, random_for
from gan_convnorm.objectives.objective import mixes_images
from gan_convnorm.run_folder import RunSettings

__all__ = ["GAN"]

RANGES: dict[str, Range] = {
    "channels": (lambda x: 1 <= x <= 65536, "from 1 to 65,536"),
    "num_classes": (lambda x: x >= 1, "1 or more"),
    "seed": (lambda x: 0 <= x < 2**32, "from 0 to 2^32 - 1"),
}

#: images of a data module, or a sequence of images and labels
Batch = Tensor | Sequence[Tensor]


class _Labelled(NamedTuple):
    """Images of shape (B, C, H, W) in [-1, 1], and classes (B,) or vectors (B, K), None for an unconditional GAN."""

    images: Tensor
    labels: Tensor | None


class GAN(Pretrained):
    """A GAN with an exchangeable discriminator normalization.

    A training step is one generator step: `n_dis` discriminator steps, each on its share of the batch, then one step
    of the generator. So Lightning's batch count is the count of generator steps, and a data module must put
    `n_dis` times the discriminator's batch in a batch (`batches_per_step` tells it).

    The defaults are those of the digits run of a few minutes; the published settings are in configs/.

    Args:
        resolution: side of the images in pixels, or "HEIGHTxWIDTH"; the data module's.
        channels: channels of the images; the data module's.
        num_classes: number of classes of the images; the data module's.
        architecture: the networks.
        optimization: their training.
        compile_networks: compile both networks with `torch.compile`; names in checkpoints stay as they are.
        seed: seeds the noise; the run's seed.
        conditions: names of the numbers in each image's vector, in place of classes; the data module's.

    Raises:
        BadInput: a number out of its range; an unknown name, which lists the choices; sizes that do not fit together;
            a conditional GAN of data without classes or vectors.

    >>> GAN(architecture=Architecture(width=0.05)).sample(2).shape
    torch.Size([2, 1, 16, 16])
    """

    optimizer_count = 2
    program = "gan"
    named = ("architecture.network", "architecture.disc_norm", "architecture.gen_norm")
    decisive = ("resolution", "channels", *(f"architecture.{field.name}" for field in fields(Architecture)))

    def __init__(
        self,
        resolution: int | str = 16,
        channels: int = 1,
        num_classes: int | None = None,
        architecture: Architecture = Architecture(),  # noqa: B008 - frozen
        optimization: Optimization = Optimization(),  # noqa: B008 - frozen
        compile_networks: bool = False,
        seed: int = 0,
        conditions: list[str] | None = None,
    ) -> None:
        super().__init__()
        resolution = Size.of(resolution).plain
        sizes = {"resolution": resolution, "channels": channels, "num_classes": num_classes, "seed": seed}
        check_ranges(sizes, RANGES)
        if architecture.conditional and num_classes is None and not conditions:
            raise BadInput("conditional is asked for, and the data has no classes; give labelled data")
        vectors = {"conditions": list(conditions)} if conditions else {}
        # Plain values: a checkpoint holds no objects.
        groups = {"architecture": asdict(architecture), "optimization": asdict(optimization)}
        self.save_hyperparameters({**sizes, **vectors, **groups, "compile_networks": compile_networks})
        # Two networks step in turn, which Lightning leaves to manual optimization.
        self.automatic_optimization = False
        self.optimization = optimization
        self.num_classes = num_classes if architecture.conditional and not conditions else None
        self.condition_size = len(conditions) if architecture.conditional and conditions else None
        labels = (self.num_classes, self.condition_size)
        self.generator = architecture.generator(resolution, channels, *labels)
        self.discriminator = architecture.discriminator(resolution, channels, *labels)
        for network in (self.generator, self.discriminator):
            # Convolutions are faster with the channels innermost, on a CPU by a fifth.
            network.to(memory_format=torch.channels_last)
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)
        # The generator's step shows the discriminator fakes alone, so one that mixes the images of a batch must not
        # learn from both kinds in one.
        self.objective = optimization.objective(apart=mixes_images(self.discriminator))
        # Norms that work by a penalty on the weights.
        self.penalized = {network for network in (self.generator, self.discriminator) if _has_penalty(network)}
        self.compile_networks = compile_networks
        self.latent_dim = architecture.latent_dim
        self.batches_per_step = optimization.n_dis
        self.steps = optimization.steps
        self.seed = seed
        self.g_step = 0

    @classmethod
    @override
    def from_plain(cls, arguments: dict[str, Any]) -> Self:
        groups = {
            "architecture": Architecture(**arguments.get("architecture", {})),
            "optimization": Optimization(**arguments.get("optimization", {})),
        }
        return cls(**{**arguments, **groups})

    @override
    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[torch.optim.lr_scheduler.LRScheduler]]:
        chosen, fused = self.optimization, self.device.type in ("cpu", "cuda")
        optimizers: list[torch.optim.Optimizer] = [
            chosen.adam(self.generator.parameters(), chosen.gen_lr, fused=fused),
            chosen.adam(self.discriminator.parameters(), chosen.disc_lr, fused=fused),
        ]
        return optimizers, [chosen.decay(optimizer) for optimizer in optimizers]

    @override
    def setup(self, stage: str) -> None:
        if stage == "fit" and self.condition_size is not None:
            self._keep_conditions()

    @override
    def on_fit_start(self) -> None:
        if self.compile_networks:
            # Each network by itself: as a whole the module breaks the graph at every optimizer step.
            self.generator.compile()
            self.discriminator.compile()

    @override
    def on_train_start(self) -> None:
        # A finished run that is resumed has nothing left to do, not one step more.
        self.trainer.should_stop = self.g_step >= self.steps

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
        parts = list(shares(len(images), self.batches_per_step))
        rng = random_for("train", self.seed, self.g_step, device=self.device)
        shared = SharedRandom(rng, self.global_rank, self.trainer.world_size)
        # Randomness of single images (augmentation, penalties) differs on every process.
        own_rng = random_for("objective", self.seed, self.g_step, self.global_rank)
        disc_losses = []
        for share in parts:
            pixels = bytes_to_images(images[share], shared).to(self.dtype, memory_format=torch.channels_last)
            real = _Labelled(pixels, None if labels is None else labels[share])
            disc_losses.append(self._discriminator_step(real, shared, own_rng))
        gen_loss = self._generator_step(real, shared, own_rng)
        self._average_weights()
        for schedule in cast("list[torch.optim.lr_scheduler.LRScheduler]", self.lr_schedulers()):
            schedule.step()
        self.g_step += 1
        losses = {"d_loss": torch.stack(disc_losses).mean(), "g_loss": gen_loss}
        if self.g_step % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._log_losses(losses)
        if self.g_step >= self.steps:
            # Lightning validates once more before it stops.
            self.trainer.should_stop = True
        return losses

    def _discriminator_step(self, real: _Labelled, shared: SharedRandom, own_rng: torch.Generator) -> Tensor:
        _, optimizer = self._optimizers()
        count, parts = len(real.images), self.optimization.accumulate
        noise, labels = self._noise(count, shared, real)
        with torch.no_grad():
            fakes = [
                self._fakes(noise, labels, rows).images for rows in micro_batches(count, parts, own_rng, self.generator)
            ]
            fake = fakes[0] if parts == 1 else torch.cat(fakes)
        losses = (
            self.objective.discriminator_loss(self.discriminator, real.images, fake, real.labels, labels, own_rng, rows)
            * ((rows.stop - rows.start) / count)
            for rows in micro_batches(count, parts, own_rng, self.discriminator)
        )
        total = self._minimize(losses, self.discriminator, optimizer)
        if self.objective.adaptation is not None:
            self.objective.adaptation.advance(count * self.trainer.world_size, self.trainer.strategy.reduce)
        return total

    def _generator_step(self, real: _Labelled, shared: SharedRandom, own_rng: torch.Generator) -> Tensor:
        optimizer, _ = self._optimizers()
        self.toggle_optimizer(optimizer)  # no gradients for the discriminator's weights
        count = self.optimization.gen_batch_size or len(real.images)
        noise, labels = self._noise(count, shared, real)

        def loss(rows: slice) -> Tensor:
            fake = self._fakes(noise, labels, rows)
            real_labels = None if real.labels is None else real.labels[rows]
            share = (rows.stop - rows.start) / count
            return share * self.objective.generator_loss(
                self.discriminator, fake.images, fake.labels, real.images[rows], real_labels, own_rng, rows.start, count
            )

        # Both networks' norms advance.
        both, parts = nn.ModuleList([self.generator, self.discriminator]), self.optimization.accumulate
        losses = map(loss, micro_batches(count, parts, own_rng, both))
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

    def _keep_conditions(self) -> None:
        """Keep vectors of training images in the generators, to sample with."""
        data: Any = getattr(self.trainer, "datamodule", None)
        if data is None or len(data.train_set.tensors) < 2:
            raise BadInput("a GAN of vectors takes them from a data module's train_set; give the data as an ImageData")
        found = data.train_set.tensors[1]
        rows = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))
        for network in (self.generator, self.generator_ema):
            network.conditions.copy_(found[rows[torch.arange(len(network.conditions)) % len(rows)]])

    def _noise(self, count: int, shared: SharedRandom, real: _Labelled) -> tuple[Tensor, Tensor | None]:
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
        for buffer, value in zip(averaged.buffers(), current.buffers(), strict=True):
            buffer.copy_(value)

    def _log_losses(self, losses: dict[str, Tensor]) -> None:
        # To read the losses the host waits for the device, so it does not in every step.
        values = {name: float(self.trainer.strategy.reduce(loss)) for name, loss in losses.items()}
        logged = values if self.objective.adaptation is None else values | {"ada_p": self.objective.adaptation.p}
        # Not through self.log: a checkpoint at the end of this step must find the row written.
        for logger in self.loggers:
            logger.log_metrics(logged, self.g_step)
            logger.save()
        self.log_dict(values, prog_bar=True, logger=False)

    @override
    def generator_with(self, *, ema: bool) -> nn.Module:
        return self.generator_ema if ema else self.generator

    @override
    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Return the images that a batch, arguments of `sample`, asks for."""
        return self.sample(**batch)

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Do nothing: callbacks compute the scores."""

    test_step = validation_step

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["g_step"] = self.g_step
        if self.objective.adaptation is not None:
            checkpoint["ada"] = self.objective.adaptation.state()

    @classmethod
    @override
    def settings_in(cls, checkpoint: dict[str, Any], source: object) -> RunSettings:
        step = checkpoint.get("g_step")
        if isinstance(step, bool) or not isinstance(step, int) or step < 0:
            raise BadInput(f"{source} has the g_step {step!r:.40}; expected the number of steps so far")
        return super().settings_in(checkpoint, source)

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.g_step = checkpoint["g_step"]
        if self.objective.adaptation is not None and "ada" in checkpoint:  # a run may go on with ada
            self.objective.adaptation.restore(checkpoint["ada"])


def _images_and_labels(batch: Batch, conditional: bool) -> tuple[Tensor, Tensor | None]:
    images, *labels = batch if isinstance(batch, (tuple, list)) else (batch,)
    if not conditional:
        return images, None
    if not labels:
        raise BadInput("conditional is asked for, and the data module yields images without labels")
    return images, labels[0]


def _has_penalty(network: nn.Module) -> bool:
    return any(hasattr(module, "penalty") for module in network.modules())
