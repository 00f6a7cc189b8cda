"""How a classifier fares on clean, corrupted and attacked test images."""

from __future__ import annotations

import contextlib
import json
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from gan_convnorm.data import ImageData
from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write, check_replaceable
from gan_convnorm.files.plain_json import read_json
from gan_convnorm.files.text import read_text
from gan_convnorm.noise import random_for
from gan_convnorm.robustness.attacks import ATTACKS, AttackSettings, NotAttacked
from gan_convnorm.robustness.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from gan_convnorm.robustness.corruptions.folder import CorruptionFolder

__all__ = ["Robustness", "RobustnessEvaluation", "mean_corruption_error"]

#: images that are corrupted and attacked at once; the random numbers of an attack are those of its block, whatever
#: process has it
BLOCK = 128
#: kind, name, severity
Cell = tuple[str, str, int]
#: gives a range of images, uint8, with their labels
Source = Callable[[int, int], tuple[Tensor, Tensor]]


@dataclass
class Robustness:
    """Accuracies from 0 to 1.

    Attributes:
        clean: on the test images as they are.
        corruptions: name -> one accuracy per severity.
        attacks: name -> accuracy on adversarial images; an image counts that is classified right before and after.
        protocol: what they were measured with.
    """

    clean: float
    corruptions: dict[str, list[float]] = field(default_factory=dict)
    attacks: dict[str, float] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For a JSON file."""
        error = mean_corruption_error(self.corruptions) if self.corruptions else None
        return {
            "clean": self.clean,
            "mean_corruption_error": error,
            "corruptions": self.corruptions,
            "attacks": self.attacks,
            "protocol": self.protocol,
        }

    def print_table(self) -> None:
        """The corruption table and one line each for the rest, in percent."""
        from rich.console import Console
        from rich.table import Table

        images = self.protocol["images"]
        if self.corruptions:
            table = Table("accuracy in %", *map(str, SEVERITIES), "mean", title="severity", title_justify="left")
            for name, values in self.corruptions.items():
                table.add_row(name, *(f"{100 * v:.1f}" for v in (*values, sum(values) / len(values))))
            Console().print(table)
            error = mean_corruption_error(self.corruptions)
            print(f"mean corruption error {100 * error:.2f}% of {len(self.corruptions)} corruptions, not rescaled")
        for name, value in self.attacks.items():
            print(f"{name}: accuracy {100 * value:.2f}% ({self.protocol['attack_settings']})")
        print(f"clean: accuracy {100 * self.clean:.2f}% of {images} test images", flush=True)


def mean_corruption_error(accuracies: dict[str, list[float]], baseline: dict[str, list[float]] | None = None) -> float:
    """Return the mean error over severities, then over corruptions.

    With a baseline each corruption's error is divided by the baseline's (Hendrycks and Dietterich, ICLR 2019,
    section 3.2, where it is AlexNet); without one it is not, as is usual for CIFAR-10-C.

    Args:
        accuracies: name -> one accuracy per severity, from 0 to 1.
        baseline: the same of another network.

    Raises:
        BadInput: no corruption, or one of which the baseline has no error.
    """
    if not accuracies:
        raise BadInput("mean_corruption_error: no corruption was measured")
    errors = []
    for name, values in accuracies.items():
        error = sum(1 - v for v in values) / len(values)
        if baseline is not None:
            theirs = baseline.get(name) or [1.0]
            if not sum(1 - v for v in theirs) > 0:
                raise BadInput(
                    f"mean_corruption_error: the baseline has no error under {name}, so none can be relative"
                )
            error /= sum(1 - v for v in theirs) / len(theirs)
        errors.append(error)
    return sum(errors) / len(errors)


class RobustnessEvaluation(pl.Callback):
    """Evaluates on the test split after training and in `test`.

    Args:
        corruptions: all, none, or names separated by commas.
        corruption_folder: read corrupted images from .npy files (CIFAR-10-C) instead of computing them.
        attacks: none, or names separated by commas: fgsm, pgd, spsa, square, autoattack.
        attack_eps: radius of the L-infinity ball, in 255ths.
        attack_step: length of PGD's step, in 255ths.
        attack_steps: number of PGD's steps.
        queries: forwards of spsa and square per image.
        num_images: corrupt and attack only the first so many test images.
        json: file for the results; one of an earlier evaluation is replaced.
        overwrite: replace any file with the results.
        seed: seeds corruptions and attacks.

    Attributes:
        last: what was found.
    """

    def __init__(
        self,
        corruptions: str = "all",
        corruption_folder: str | None = None,
        attacks: str = "fgsm,pgd",
        attack_eps: float = 8,
        attack_step: float = 2,
        attack_steps: int = 20,
        queries: int = 500,
        num_images: int | None = None,
        json: str | None = None,
        overwrite: bool = False,
        seed: int = 0,
    ) -> None:
        self.folder = CorruptionFolder(corruption_folder) if corruption_folder else None
        self.corruptions = _names("--corruptions", corruptions, self.folder.names if self.folder else list(CORRUPTIONS))
        self.attacks = _names("--attacks", attacks, list(ATTACKS))
        for name, value in (("attack_steps", attack_steps), ("queries", queries), ("num_images", num_images)):
            if value is not None and value < 1:
                raise BadInput(f"{name} is {value}, and must be 1 or more")
        if not 0 <= attack_eps <= 255 or not 0 < attack_step < math.inf:
            raise BadInput(
                f"attack_eps is {attack_eps} and attack_step {attack_step}; expected 0 to 255 (in 255ths), and above 0"
            )
        if json is not None and not Path(json).absolute().parent.is_dir():
            raise BadInput(f"there is no folder {Path(json).parent} for --json; make it first")
        if json == "":
            raise BadInput("--json is empty; expected the name of a file")
        if json is not None:
            check_replaceable(Path(json), _is_evaluation, overwrite)
        self.settings = AttackSettings(attack_eps / 255, attack_step / 255, attack_steps, queries)
        self.settings_text = f"L-infinity, eps {attack_eps:g}/255"
        self.num_images = num_images
        self.json = Path(json) if json else None
        self.seed = seed
        self.last: Robustness | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a corruption folder of other data now, and not after the training."""
        if stage in ("fit", "test"):
            self.check_data(trainer.datamodule.data)  # type: ignore[attr-defined]

    def check_data(self, data: ImageData) -> None:
        """Raise when the corruption folder is of other data.

        Raises:
            BadInput: it has images of another shape, or labels that are none of the classes.
        """
        if self.folder is not None:
            self.folder.check((data.channels, data.resolution, data.resolution), data.num_classes)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._evaluate(trainer, pl_module)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._evaluate(trainer, pl_module)

    def _evaluate(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        network: Any = pl_module.network
        images, labels = trainer.datamodule.test_set.tensors  # type: ignore[attr-defined]
        if trainer.world_size > 1:
            # After training each process has the statistics of its own last batch; the checkpoint has the first's.
            for buffer in network.buffers():
                torch.distributed.broadcast(buffer, src=0)
        was_training = network.training
        network.eval()
        try:
            # Attacks need gradients, which Lightning's test loop rules out.
            with torch.inference_mode(False), torch.no_grad(), trainer.precision_plugin.forward_context():
                self.last = self._measure(network, images, labels, pl_module.device, trainer)
        finally:
            network.train(was_training)
        if self.json is not None and trainer.is_global_zero:
            text = json.dumps(self.last.to_dict(), indent=2) + "\n"
            try:
                with atomic_write(self.json) as part:
                    part.write_text(text, encoding="utf-8")
            except OSError as error:  # a run's summary.json is still to be written
                warnings.warn(f"{self.json} cannot be written ({error.strerror})", stacklevel=2)

    def _measure(
        self, network: nn.Module, images: Tensor, labels: Tensor, device: torch.device, trainer: pl.Trainer
    ) -> Robustness:
        correct: dict[Cell, int] = {}
        totals: dict[Cell, int] = {}
        not_attacked: dict[str, int] = dict.fromkeys(self.attacks, 0)
        said: set[str] = set()
        for cell, count, block in self._cells(images, labels):
            correct.setdefault(cell, 0)
            totals[cell] = count
            # Whole blocks go around the processes.
            for number in range(trainer.global_rank, -(-count // BLOCK), trainer.world_size):
                first = number * BLOCK
                shown, truth = (tensor.to(device) for tensor in block(first, min(first + BLOCK, count)))
                shown = shown.float() / 255
                right = network(shown).argmax(dim=1) == truth
                if cell[0] == "attack":
                    rng = random_for(f"attack {cell[1]}", self.seed, number)
                    with _counted(not_attacked, said):
                        shown = ATTACKS[cell[1]](network, shown, truth, self.settings, rng)
                    # Also where rounding lets one image's prediction depend on the others of its batch.
                    right &= network(shown).argmax(dim=1) == truth
                correct[cell] += int(right.sum())
        counts = torch.tensor([*correct.values(), *not_attacked.values()], device=device)
        sums = torch.as_tensor(trainer.strategy.reduce(counts, reduce_op="sum")).tolist()
        accuracies = {cell: int(c) / totals[cell] for cell, c in zip(correct, sums, strict=False)}
        attacked = min(len(images), self.num_images or len(images))
        if trainer.is_global_zero:
            for name, count in zip(not_attacked, sums[len(correct) :], strict=True):
                if count:
                    warnings.warn(NotAttacked(name, int(count), attacked), stacklevel=2)
        return Robustness(
            accuracies["clean", "", 0],
            {name: [accuracies["corruption", name, s] for s in SEVERITIES] for name in self.corruptions},
            {name: accuracies["attack", name, 0] for name in self.attacks},
            {
                "images": len(images),
                "corrupted_images": self._corrupted_count(attacked),
                "attacked_images": attacked,
                "corruptions": str(self.folder.path) if self.folder else "computed",
                "attack_settings": self.settings_text,
                "pgd": f"{self.settings.steps} steps of {self.settings.step * 255:g}/255 from a random start",
                "queries": self.settings.queries,
                "seed": self.seed,
            },
        )

    def _corrupted_count(self, attacked: int) -> int:
        if self.folder is None:
            return attacked
        count = len(self.folder.labels) // len(SEVERITIES)
        return min(count, self.num_images or count)

    def _cells(self, images: Tensor, labels: Tensor) -> Iterator[tuple[Cell, int, Source]]:
        """What is measured, on how many images, and where a range of them comes from."""

        def clean(first: int, stop: int) -> tuple[Tensor, Tensor]:
            return images[first:stop], labels[first:stop]

        count = min(len(images), self.num_images or len(images))
        yield ("clean", "", 0), len(images), clean
        for name in self.corruptions:
            for severity in SEVERITIES:
                source = self._read(name, severity) if self.folder else self._corrupt(name, severity, clean)
                yield ("corruption", name, severity), self._corrupted_count(count), source
        for name in self.attacks:
            yield ("attack", name, 0), count, clean

    def _corrupt(self, name: str, severity: int, clean: Source) -> Source:
        def corrupted(first: int, stop: int) -> tuple[Tensor, Tensor]:
            images, labels = clean(first, stop)
            return corrupt(images, name, severity, seed=self.seed, first=first), labels

        return corrupted

    def _read(self, name: str, severity: int) -> Source:
        assert self.folder is not None
        read, labels = self.folder(name, severity)
        return lambda first, stop: (read[first:stop], labels[first:stop])


def _is_evaluation(path: Path) -> bool:
    found = read_json(read_text(path, "an evaluation"), str(path))
    return isinstance(found, dict) and found.keys() == Robustness(0.0).to_dict().keys()


@contextlib.contextmanager
def _counted(counts: dict[str, int], said: set[str]) -> Iterator[None]:
    """Count the images that attacks warn of, so that one warning can be for all blocks and processes.

    Args:
        counts: images by attack; it grows.
        said: other warnings that have been shown; it grows.
    """
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", NotAttacked)
        yield
    for warning in found:
        if isinstance(warning.message, NotAttacked):
            counts[warning.message.attack] += warning.message.count
        elif str(warning.message) not in said:
            said.add(str(warning.message))
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _names(flag: str, text: str, choices: list[str]) -> list[str]:
    """The names in a comma-separated list."""
    if text == "none":
        return []
    if text == "all":
        return choices
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in choices:
            raise BadInput(f"{flag} names {name!r}; choose of: all, none, {', '.join(choices)}")
    return names
