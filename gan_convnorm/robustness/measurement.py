"""One measurement of a classifier: clean test images, corrupted ones and attacked ones."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from gan_convnorm.fourier.execution import autocast_off
from gan_convnorm.random_streams import random_for
from gan_convnorm.robustness.attacks import ATTACKS, AttackSettings, ZeroGradient
from gan_convnorm.robustness.certified import certified_radii, lipschitz_bound
from gan_convnorm.robustness.corruptions import SEVERITIES, corrupt
from gan_convnorm.robustness.corruptions.folder import CorruptionFolder
from gan_convnorm.robustness.results import Robustness

__all__ = ["Measurement"]

#: images that are corrupted and attacked at once; the random numbers of an attack are those of its block, whatever
#: process has it
BLOCK = 128
#: kind, name, severity
Condition = tuple[str, str, int]
#: gives a range of images, uint8, with their labels
Source = Callable[[int, int], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Measurement:
    """The corruptions and attacks that a classifier is measured under.

    >>> measure = Measurement(["contrast"], None, ["fgsm"], AttackSettings(0.6, 0.1, 1, 1), num_images=2, seed=0)
    >>> images = torch.tensor([[255, 0, 0, 0], [0, 255, 0, 0]], dtype=torch.uint8).view(2, 1, 2, 2)
    >>> trainer = pl.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)
    >>> result = measure(nn.Flatten(), images, torch.tensor([0, 1]), torch.device("cpu"), trainer)
    >>> result.clean, result.corruptions, result.attacks
    (1.0, {'contrast': [1.0, 1.0, 1.0, 1.0, 1.0]}, {'fgsm': 0.0})

    Attributes:
        corruptions: their names.
        folder: corrupted images from files; None to compute them.
        attacks: names of `ATTACKS`.
        settings: radius, steps and queries of the attacks.
        num_images: number of test images that are corrupted and attacked, drawn by the seed; None for all.
        seed: seeds corruptions and attacks.
        certified_radius: Euclidean length, in [0, 1] pixels, of the perturbations that the certified accuracy is for;
            None for no certificate.
    """

    corruptions: list[str]
    folder: CorruptionFolder | None
    attacks: list[str]
    settings: AttackSettings
    num_images: int | None
    seed: int
    certified_radius: float | None = None

    def __call__(
        self, network: nn.Module, images: Tensor, labels: Tensor, device: torch.device, trainer: pl.Trainer
    ) -> Robustness:
        """Return a network's accuracies; every process of the trainer must call this.

        Args:
            network: in evaluation mode; maps images in [0, 1] to logits.
            images: test images, uint8, shape (N, C, H, W).
            labels: their classes, int64, shape (N,).
            device: the network's device.
            trainer: shares the blocks of images among its processes.

        Returns:
            The accuracies, the same on every process.

        Raises:
            BadInput: a certificate of a network that has none.

        Warns:
            ZeroGradient: images whose gradient is zero or NaN.
        """
        correct: dict[Condition, int] = {}
        totals: dict[Condition, int] = {}
        not_attacked: dict[str, int] = dict.fromkeys(self.attacks, 0)
        said: set[str] = set()
        radius = self.certified_radius
        bound = None if radius is None else lipschitz_bound(network, images.shape[1:])
        for condition, count, block in self._conditions(images, labels):
            correct.setdefault(condition, 0)
            totals[condition] = count
            # Whole blocks go around the processes.
            for number in range(trainer.global_rank, -(-count // BLOCK), trainer.world_size):
                first = number * BLOCK
                shown, truth = (tensor.to(device) for tensor in block(first, min(first + BLOCK, count)))
                shown = shown.float() / 255
                if radius is not None and bound is not None and condition[0] == "certified":
                    # The proof is of the network in full precision.
                    with autocast_off(device):
                        logits = network(shown)
                    radii = certified_radii(logits.cpu(), truth.cpu(), bound)
                    correct[condition] += int((radii > radius).sum())
                    continue
                right = _right(network(shown), truth)
                if condition[0] == "attack":
                    rng = random_for(f"attack {condition[1]}", self.seed, number)
                    with _counted(not_attacked, said):
                        shown = ATTACKS[condition[1]](network, shown, truth, self.settings, rng)
                    # Also where rounding lets one image's prediction depend on the others of its batch.
                    right &= _right(network(shown), truth)
                correct[condition] += int(right.sum())
        counts = torch.tensor([*correct.values(), *not_attacked.values()], device=device)
        sums = torch.as_tensor(trainer.strategy.reduce(counts, reduce_op="sum")).tolist()
        accuracies = {condition: int(c) / totals[condition] for condition, c in zip(correct, sums, strict=False)}
        attacked = min(len(images), self.num_images or len(images))
        failed = {name: int(count) for name, count in zip(not_attacked, sums[len(correct) :], strict=True) if count}
        if trainer.is_global_zero:
            for name, count in failed.items():
                warnings.warn(ZeroGradient(name, count, attacked), stacklevel=2)
        return Robustness(
            accuracies["clean", "", 0],
            {name: [accuracies["corruption", name, s] for s in SEVERITIES] for name in self.corruptions},
            {name: accuracies["attack", name, 0] for name in self.attacks},
            {
                "images": len(images),
                "corrupted_images": self._corrupted_count(attacked),
                "attacked_images": attacked,
                "clean_of_attacked": accuracies.get(("clean", "attacked", 0), accuracies["clean", "", 0]),
                "corruptions": str(self.folder.path) if self.folder else "computed",
                "not_attacked": failed,
                "attack_settings": f"L-infinity, eps {self.settings.eps * 255:g}/255",
                "pgd": f"{self.settings.steps} steps of {self.settings.step * 255:g}/255 from a random start",
                "queries": self.settings.queries,
                "seed": self.seed,
                "certified_radius": self.certified_radius,
            },
            accuracies.get(("certified", "", 0)),
        )

    def _corrupted_count(self, attacked: int) -> int:
        if self.folder is None:
            return attacked
        count = len(self.folder.labels) // len(SEVERITIES)
        return min(count, self.num_images or count)

    def _chosen(self, count: int) -> Tensor:
        """Return the numbers of `num_images` of `count` images, ascending: a folder's are in the order of classes."""
        if self.num_images is None or self.num_images >= count:
            return torch.arange(count)
        return torch.randperm(count, generator=random_for("test images", self.seed))[: self.num_images].sort().values

    def _conditions(self, images: Tensor, labels: Tensor) -> Iterator[tuple[Condition, int, Source]]:
        """Yield each condition of the result, its number of images, and the source of any range of them."""

        def every(first: int, stop: int) -> tuple[Tensor, Tensor]:
            return images[first:stop], labels[first:stop]

        chosen = self._chosen(len(images))

        def clean(first: int, stop: int) -> tuple[Tensor, Tensor]:
            return images[chosen[first:stop]], labels[chosen[first:stop]]

        yield ("clean", "", 0), len(images), every
        if len(chosen) < len(images):
            yield ("clean", "attacked", 0), len(chosen), clean
        if self.certified_radius is not None:
            yield ("certified", "", 0), len(images), every
        for name in self.corruptions:
            for severity in SEVERITIES:
                source = self._read(name, severity) if self.folder else self._corrupt(name, severity, clean)
                yield ("corruption", name, severity), self._corrupted_count(len(chosen)), source
        for name in self.attacks:
            yield ("attack", name, 0), len(chosen), clean

    def _corrupt(self, name: str, severity: int, clean: Source) -> Source:
        def corrupted(first: int, stop: int) -> tuple[Tensor, Tensor]:
            images, labels = clean(first, stop)
            return corrupt(images, name, severity, seed=self.seed, first=first), labels

        return corrupted

    def _read(self, name: str, severity: int) -> Source:
        assert self.folder is not None
        read, labels = self.folder(name, severity)
        chosen = self._chosen(len(labels))
        return lambda first, stop: (read[chosen[first:stop]], labels[chosen[first:stop]])


def _right(logits: Tensor, truth: Tensor) -> Tensor:
    """Return which images are classified right; none whose logits are NaN, of which argmax takes the first."""
    return logits.isfinite().all(dim=1) & (logits.argmax(dim=1) == truth)


@contextlib.contextmanager
def _counted(counts: dict[str, int], said: set[str]) -> Iterator[None]:
    """Count the images that attacks warn of, so that one warning can be for all blocks and processes.

    Args:
        counts: images by attack; it grows.
        said: other warnings that have been shown; it grows.
    """
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", ZeroGradient)
        yield
    for warning in found:
        if isinstance(warning.message, ZeroGradient):
            counts[warning.message.attack] += warning.message.count
        elif str(warning.message) not in said:
            said.add(str(warning.message))
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
