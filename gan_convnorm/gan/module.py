"""The GAN as a LightningModule: its networks and settings, and what its checkpoints hold."""

from __future__ import annotations

import copy
from dataclasses import asdict, fields
from typing import Any, Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.gan.adversarial_training import AdversarialTraining, Batch
from gan_convnorm.gan.architecture import Architecture
from gan_convnorm.gan.optimization import Optimization
from gan_convnorm.gan.ranges import Range, check_ranges
from gan_convnorm.images.size import Size
from gan_convnorm.objectives.objective import mixes_images
from gan_convnorm.run_folder import RunSettings

__all__ = ["GAN"]

RANGES: dict[str, Range] = {
    "channels": (lambda x: 1 <= x <= 65536, "from 1 to 65,536"),
    "num_classes": (lambda x: x >= 1, "1 or more"),
    "seed": (lambda x: 0 <= x < 2**32, "from 0 to 2^32 - 1"),
}


class GAN(AdversarialTraining):
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
    code_arguments = ("architecture.network", "architecture.disc_norm", "architecture.gen_norm")
    weight_arguments = ("resolution", "channels", *(f"architecture.{field.name}" for field in fields(Architecture)))

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
        self.objective = optimization.objective(separate_batches=mixes_images(self.discriminator))
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
        super().on_train_start()
        # A finished run that is resumed has nothing left to do, not one step more.
        self.trainer.should_stop = self.g_step >= self.steps

    def _keep_conditions(self) -> None:
        """Keep vectors of training images in the generators, to sample with."""
        data: Any = getattr(self.trainer, "datamodule", None)
        if data is None or len(data.train_set.tensors) < 2:
            raise BadInput("a GAN of vectors takes them from a data module's train_set; give the data as an ImageData")
        found = data.train_set.tensors[1]
        rows = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))
        for network in (self.generator, self.generator_ema):
            network.conditions.copy_(found[rows[torch.arange(len(network.conditions)) % len(rows)]])

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


def _has_penalty(network: nn.Module) -> bool:
    return any(hasattr(module, "penalty") for module in network.modules())
