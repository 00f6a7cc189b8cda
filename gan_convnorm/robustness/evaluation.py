"""The callback that measures a classifier after training and in `test`."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from typing_extensions import override

from gan_convnorm.data import ImageData
from gan_convnorm.errors import BadInput
from gan_convnorm.evaluation_mode import evaluating
from gan_convnorm.files.atomic_write import atomic_write, check_replaceable
from gan_convnorm.files.plain_json import read_json
from gan_convnorm.files.text import read_text
from gan_convnorm.robustness.attacks import ATTACKS, AttackSettings
from gan_convnorm.robustness.attacks.auto_attack import check_auto_attack
from gan_convnorm.robustness.certified import certified_network
from gan_convnorm.robustness.corruptions import CORRUPTIONS
from gan_convnorm.robustness.corruptions.folder import CorruptionFolder
from gan_convnorm.robustness.measurement import Measurement
from gan_convnorm.robustness.networks import Normalized
from gan_convnorm.robustness.results import Robustness

__all__ = ["RobustnessEvaluation"]

#: of PGD in 255ths, where the radius is 0
SHORTEST_STEP = 0.01


class RobustnessEvaluation(pl.Callback):
    """Evaluation on the test split after training and in `test`.

    >>> evaluation = RobustnessEvaluation(corruptions="fog,snow", attacks="pgd", attack_eps=51)
    >>> evaluation.measurement.corruptions, evaluation.measurement.settings.eps
    (['fog', 'snow'], 0.2)

    Args:
        corruptions: all, none, or names separated by commas.
        corruption_folder: read corrupted images from .npy files (CIFAR-10-C) instead of computing them.
        attacks: none, or names separated by commas: fgsm, pgd, spsa, square, autoattack.
        attack_eps: radius of the L-infinity ball, in 255ths.
        attack_step: length of PGD's step, in 255ths; a quarter of the radius when not given.
        attack_steps: number of PGD's steps.
        queries: forwards of spsa and square per image.
        num_images: corrupt and attack only so many of the test images, drawn by the seed.
        json: file for the results; one of an earlier evaluation is replaced.
        overwrite: replace any file with the results.
        certified_radius: certify accuracy against every perturbation of up to this Euclidean length, in [0, 1] pixels.
        seed: seeds corruptions and attacks.

    Attributes:
        last: the last results.
    """

    def __init__(
        self,
        corruptions: str = "all",
        corruption_folder: str | None = None,
        attacks: str = "fgsm,pgd",
        attack_eps: float = 8,
        attack_step: float | None = None,
        attack_steps: int = 20,
        queries: int = 500,
        num_images: int | None = None,
        json: str | None = None,
        overwrite: bool = False,
        certified_radius: float | None = None,
        seed: int = 0,
    ) -> None:
        self.folder = CorruptionFolder(corruption_folder) if corruption_folder else None
        corruption_names = _names("--corruptions", corruptions, self.folder.names if self.folder else list(CORRUPTIONS))
        attack_names = _names("--attacks", attacks, list(ATTACKS))
        for name, value in (("attack_steps", attack_steps), ("queries", queries), ("num_images", num_images)):
            if value is not None and value < 1:
                raise BadInput(f"{name} is {value}, and must be 1 or more")
        if "autoattack" in attack_names:
            check_auto_attack()  # now, and not after the training
        # A step of 2/255 within 8/255, as published. Fixed steps could not reach the edge of a larger ball.
        attack_step = max(attack_eps / 4, SHORTEST_STEP) if attack_step is None else attack_step
        if not 0 <= attack_eps <= 255 or not 0 < attack_step < math.inf:
            raise BadInput(
                f"attack_eps is {attack_eps} and attack_step {attack_step}; expected 0 to 255 (in 255ths), and above 0"
            )
        if certified_radius is not None and not 0 < certified_radius < math.inf:
            raise BadInput(
                f"certified_radius is {certified_radius}; expected a length above 0, such as 0.05 (pixels are 0 to 1)"
            )
        if json is not None and not Path(json).absolute().parent.is_dir():
            raise BadInput(f"there is no folder {Path(json).parent} for --json; make it first")
        if json == "":
            raise BadInput("--json is empty; expected the name of a file")
        if json is not None:
            check_replaceable(Path(json), _is_evaluation, overwrite)
        settings = AttackSettings(attack_eps / 255, attack_step / 255, attack_steps, queries)
        self.measurement = Measurement(
            corruption_names, self.folder, attack_names, settings, num_images, seed, certified_radius
        )
        self.json = Path(json) if json else None
        self.last: Robustness | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse data and networks that cannot be evaluated now, and not after the training."""
        if stage in ("fit", "test"):
            self.check_data(trainer.datamodule.data)  # type: ignore[attr-defined]
            self.check_network(pl_module.network)  # type: ignore[arg-type]

    def check_data(self, data: ImageData) -> None:
        """Raise unless the images can be corrupted and the corruption folder is of these data.

        Raises:
            BadInput: images to be corrupted that are not square, or neither grey nor in colour; a folder of images of
                another shape, or with labels that are not among the data's classes.
        """
        if self.measurement.corruptions and self.folder is None and data.channels not in (1, 3):
            raise BadInput(
                f"the images have {data.channels} channels, and corruptions are made for 1 or 3; leave them out with "
                "--corruptions none"
            )
        if self.measurement.corruptions and self.folder is None and data.size.height != data.size.width:
            raise BadInput(
                f"the images are {data.size} pixels (height x width), and corruptions are made for square ones; leave "
                "them out with --corruptions none"
            )
        if self.folder is not None:
            self.folder.check((data.channels, *data.size), data.num_classes)

    def check_network(self, network: Normalized) -> None:
        """Raise when accuracy is to be certified of a network that has no certificate."""
        if self.measurement.certified_radius is not None:
            certified_network(network)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._evaluate(trainer, pl_module)

    @override
    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._evaluate(trainer, pl_module)

    def _evaluate(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        network: Any = pl_module.network
        images, labels = trainer.datamodule.test_set.tensors  # type: ignore[attr-defined]
        if trainer.world_size > 1:
            # After training each process has the statistics of its own last batch; the checkpoint has the first's.
            for buffer in network.buffers():
                torch.distributed.broadcast(buffer, src=0)
        # Attacks need gradients, which Lightning's test loop rules out.
        context = trainer.precision_plugin.forward_context()
        with evaluating(network), torch.inference_mode(False), torch.no_grad(), context:
            self.last = self.measurement(network, images, labels, pl_module.device, trainer)
        if self.json is not None and trainer.is_global_zero:
            text = json.dumps(self.last.to_dict(), indent=2) + "\n"
            try:
                with atomic_write(self.json) as part:
                    part.write_text(text, encoding="utf-8")
            except OSError as error:  # a run's summary.json is still to be written
                warnings.warn(f"{self.json} cannot be written ({error.strerror})", stacklevel=2)


def _is_evaluation(path: Path) -> bool:
    found = read_json(read_text(path, "an evaluation"), str(path))
    return isinstance(found, dict) and found.keys() == Robustness(0.0).to_dict().keys()


def _names(flag: str, text: str, choices: list[str]) -> list[str]:
    """Return the names in a comma-separated list."""
    if text == "none":
        return []
    if text == "all":
        return choices
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in choices:
            raise BadInput(f"{flag} names {name!r}; choose of: all, none, {', '.join(choices)}")
    return names
