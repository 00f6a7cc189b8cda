"""The GAN as a LightningModule: two optimizers, n_dis, linear decay, an average of the generator's weights."""

from __future__ import annotations

import copy
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.losses import hinge_discriminator, hinge_generator
from gan_convnorm.networks.sngan import SNGANDiscriminator, SNGANGenerator
from gan_convnorm.noise import BLOCK, SharedRandom, numbered_noise, random_for

__all__ = ["GAN", "bytes_to_images", "images_to_bytes"]

#: hyperparameters that decide which weights there are
ARCHITECTURE = (
    "resolution",
    "channels",
    "width",
    "latent_dim",
    "disc_norm",
    "disc_norm_options",
    "gen_norm",
    "gen_norm_options",
)


class GAN(pl.LightningModule):
    """SNGAN with an exchangeable discriminator normalization.

    A training step is one generator step: `n_dis` discriminator steps, each on its share of the batch, then one step
    of the generator. So Lightning's batch count is the count of generator steps, and a data module must put
    `n_dis` times the discriminator's batch in a batch (`batches_per_step` tells it).

    The defaults are those of the digits run of a few minutes; the published settings are in configs/.

    Args:
        resolution: side of the images in pixels; the data module's.
        channels: channels of the images; the data module's.
        width: factor on the networks' channels; 1 is the published network.
        latent_dim: length of the noise vectors.
        disc_norm: normalization of the discriminator: none, batch, spectral or convnorm.
        disc_norm_options: its options, such as {"gain": "lipschitz"} for convnorm.
        gen_norm: normalization of the generator: none, batch, spectral or convnorm.
        gen_norm_options: its options.
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

    def __init__(
        self,
        resolution: int = 16,
        channels: int = 1,
        width: float = 0.25,
        latent_dim: int = 128,
        disc_norm: str = "spectral",
        disc_norm_options: dict[str, Any] | None = None,
        gen_norm: str = "batch",
        gen_norm_options: dict[str, Any] | None = None,
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
        for name, value in (("steps", steps), ("n_dis", n_dis), ("latent_dim", latent_dim)):
            if value < 1:
                raise BadInput(f"{name} is {value}, and must be 1 or more")
        if gen_batch_size is not None and gen_batch_size < 1:
            raise BadInput(f"gen_batch_size is {gen_batch_size}, and must be 1 or more")
        self.save_hyperparameters()
        # Two networks step in turn, which Lightning leaves to manual optimization.
        self.automatic_optimization = False
        self.generator = SNGANGenerator(resolution, channels, latent_dim, width, gen_norm, gen_norm_options)
        self.discriminator = SNGANDiscriminator(resolution, channels, width, disc_norm, disc_norm_options)
        for network in (self.generator, self.discriminator):
            # Convolutions are faster with the channels innermost, on a CPU by a fifth.
            network.to(memory_format=torch.channels_last)
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

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """One generator step.

        Args:
            batch: uint8 images (n_dis * B, C, H, W), or a sequence that begins with them.
            batch_idx: not used.

        Returns:
            "d_loss", the mean over the discriminator's steps, and "g_loss", scalars, of this process's share.
        """
        images = batch[0] if isinstance(batch, (tuple, list)) else batch
        gen_optimizer, disc_optimizer = self.optimizers()  # type: ignore[attr-defined]
        generator = random_for("train", self.seed, self.g_step, device=self.device)
        random = SharedRandom(generator, self.global_rank, self.trainer.world_size)
        disc_losses = []
        for share in images.tensor_split(self.batches_per_step):
            real = bytes_to_images(share, random).to(self.dtype, memory_format=torch.channels_last)
            disc_losses.append(self._discriminator_step(disc_optimizer, real, self._fakes(len(share), random)))
        gen_batch = self.gen_batch_size or len(images) // self.batches_per_step
        gen_loss = self._generator_step(gen_optimizer, self._noise(gen_batch, random))
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

    def _discriminator_step(self, optimizer: Any, real: Tensor, fake: Tensor) -> Tensor:
        # One forward for both: a norm's state advances, and its spectrum is computed, once a step.
        scores = self._scores(torch.cat([real, fake]))
        loss = hinge_discriminator(*scores.split([len(real), len(fake)]))
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        return loss.detach()

    def _generator_step(self, optimizer: Any, noise: Tensor) -> Tensor:
        self.toggle_optimizer(optimizer)  # no gradients for the discriminator's weights
        loss = hinge_generator(self._scores(self.generator(noise)))
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.untoggle_optimizer(optimizer)
        return loss.detach()

    def _scores(self, images: Tensor) -> Tensor:
        # A half precision of the networks ends before the loss.
        return self.discriminator(images).to(self.dtype)

    @torch.no_grad()
    def _fakes(self, count: int, random: SharedRandom) -> Tensor:
        return self.generator(self._noise(count, random))

    def _noise(self, count: int, random: SharedRandom) -> Tensor:
        return random.normal(count, self.latent_dim).to(self.dtype)

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

    @torch.no_grad()
    def sample(
        self, n: int, *, seed: int | None = None, ema: bool = True, first: int = 0, batch_size: int = BLOCK
    ) -> Tensor:
        """Images from the generator in evaluation mode.

        Image i depends on the seed and on i alone, up to rounding: not on `n`, `first` or `batch_size`.

        Args:
            n: number of images.
            seed: seeds the noise; the run's seed when not given.
            ema: from the averaged weights, else from the current ones.
            first: number of the first image in the endless series of this seed.
            batch_size: images in one forward pass.

        Returns:
            uint8, shape (n, C, H, W), on the CPU.
        """
        network = self.generator_ema if ema else self.generator
        noise = numbered_noise(first, first + n, self.latent_dim, self.seed if seed is None else seed)
        was_training = network.training
        network.eval()
        try:
            batches = [images_to_bytes(network(part.to(self.device, self.dtype))).cpu() for part in noise.split(batch_size)]
        finally:
            network.train(was_training)
        return torch.cat(batches)

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """The images of a batch of consecutive numbers."""
        return self.sample(len(batch), first=int(batch[0]))

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Nothing: the scores are the callbacks' work."""

    test_step = validation_step

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["g_step"] = self.g_step

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name in ARCHITECTURE:
            found, expected = checkpoint["hyper_parameters"].get(name), self.hparams[name]
            if found != expected:
                raise BadInput(f"the checkpoint was trained with {name} {found!r}, and {expected!r} is asked for")
        check_weights(self, checkpoint["state_dict"])
        self.g_step = checkpoint["g_step"]


def check_weights(module: nn.Module, saved: dict[str, Tensor]) -> None:
    """Whether saved weights are a module's.

    Raises:
        BadInput: names the first key that differs, and how.
    """
    own = module.state_dict()
    for name, value in own.items():
        if name not in saved:
            raise BadInput(f"the checkpoint has no {name!r}; it was saved by another version of this program")
        if saved[name].shape != value.shape:
            found, expected = tuple(saved[name].shape), tuple(value.shape)
            raise BadInput(f"the checkpoint's {name!r} has the shape {found}, and {expected} is expected")
    for name in saved:
        if name not in own:
            raise BadInput(f"the checkpoint has {name!r}, which is not known; another version of this program saved it")


def bytes_to_images(images: Tensor, random: SharedRandom) -> Tensor:
    """Dequantize as sngan_projection does: x / 128 - 1 + U(0, 1 / 128).

    Args:
        images: uint8, shape (B, C, H, W).
        random: source of the uniform noise.

    Returns:
        float32 in [-1, 1), the same shape and device.

    Raises:
        BadInput: images of another type.
    """
    if images.dtype != torch.uint8:
        raise BadInput(f"the data module yields {images.dtype} images; expected uint8 images of shape (B, C, H, W)")
    return (images + random.uniform(*images.shape)) / 128 - 1


def images_to_bytes(images: Tensor) -> Tensor:
    """The nearest byte's centre under `bytes_to_images`: round(128 (x + 1) - 1/2).

    Args:
        images: floating point in [-1, 1], any shape.

    Returns:
        uint8, the same shape.
    """
    return (images.float() * 128 + 127.5).round().clamp(0, 255).to(torch.uint8)
