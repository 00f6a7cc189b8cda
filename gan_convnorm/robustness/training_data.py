"""Data that a classifier trains on: a share, with wrong labels, beside a clean and disjoint validation split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from typing_extensions import override

from gan_convnorm.data import CIFAR10, Digits, ImageData
from gan_convnorm.errors import BadInput
from gan_convnorm.random_streams import random_for
from gan_convnorm.robustness.epoch_batches import EpochBatches
from gan_convnorm.robustness.labels import LabelNoise, noisy_labels

__all__ = ["LabelledData", "TrainingSplit", "class_balanced"]


@dataclass(frozen=True)
class TrainingSplit:
    """Shares of the data's train split and the noise on its labels; the test split stays as it is.

    >>> TrainingSplit(fraction=0.5).validation
    0.1
    >>> TrainingSplit(fraction=0)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: --fraction is 0; expected a share above 0, at most 1

    Args:
        validation: share of the train split that is held out before anything else, class-balanced, labels untouched.
        fraction: share of the rest that is trained on, class-balanced; at least one image of every class.
        label_noise: rate of wrong labels among those.
        label_noise_kind: symmetric (the true class is not drawn), symmetric-any (it may be) or asymmetric.
        seed: seeds all three; the run's seed.
    """

    validation: float = 0.1
    fraction: float = 1.0
    label_noise: float = 0.0
    label_noise_kind: LabelNoise = "symmetric"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.validation < 1:
            raise BadInput(f"split.validation is {self.validation}; expected a share above 0 and below 1")
        if not 0 < self.fraction <= 1:
            raise BadInput(f"--fraction is {self.fraction}; expected a share above 0, at most 1")
        if not 0 <= self.label_noise <= 1:
            raise BadInput(f"--label-noise is {self.label_noise}; expected a rate from 0 to 1")


def class_balanced(labels: Tensor, share: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return indices of a share of every class, at least one, and of the others; both ascending.

    >>> chosen, rest = class_balanced(torch.tensor([0, 0, 1, 1]), 0.5, torch.Generator().manual_seed(0))
    >>> len(chosen), len(rest)
    (2, 2)

    Args:
        labels: int64, shape (N,).
        share: from 0 to 1.
        rng: source of the choice, on the CPU.

    Returns:
        The chosen indices and the others, int64.
    """
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in torch.unique(labels).tolist():
        members = (labels == label).nonzero()[:, 0]
        count = max(1, round(share * len(members)))
        chosen[members[torch.randperm(len(members), generator=rng)[:count]]] = True
    return chosen.nonzero()[:, 0], (~chosen).nonzero()[:, 0]


class LabelledData(pl.LightningDataModule):
    """A data module's images for a classifier, in epochs.

    >>> class Noise(ImageData):
    ...     name = "noise"
    ...     def setup(self, stage=None):
    ...         images = torch.randint(256, (40, 1, 8, 8), dtype=torch.uint8)
    ...         self.train_set = self.test_set = TensorDataset(images, torch.arange(40) % 2)
    >>> noise = Noise(resolution=8, channels=1, num_classes=2, batch_size=4, seed=0)
    >>> data = LabelledData(noise, TrainingSplit(validation=0.2, fraction=0.5, label_noise=0.25))
    >>> data.setup()
    >>> len(data.val_set), len(data.train_set), data.wrong_labels
    (8, 16, 0.25)

    Args:
        data: the images.
        split: what to train on.

    Attributes:
        train_set: images and labels to train on, which may be wrong.
        val_set: the held-out images.
        test_set: the data's own test split.
        wrong_labels: effective rate of wrong labels.
        overfit_batches: train on the images of this many batches only, drawn by the seed; 0 for all.
    """

    train_set: TensorDataset
    val_set: TensorDataset
    test_set: TensorDataset
    wrong_labels: float
    overfit_batches: int = 0

    def __init__(self, data: ImageData, split: TrainingSplit) -> None:
        super().__init__()
        self.data = data
        self.split = split

    @override
    def prepare_data(self) -> None:
        self.data.prepare_data()

    @override
    def setup(self, stage: str | None = None) -> None:
        if self.data.num_classes is None:
            raise BadInput(f"the data {self.data.name} have no labels, which a classifier learns; choose labelled data")
        if self.data.num_classes < 2:
            raise BadInput(f"the data {self.data.name} have a single class; expected two classes or more to tell apart")
        self.data.setup("fit")  # which sets both splits
        self.test_set = self.data.split("test")
        if len(self.test_set.tensors) < 2:
            raise BadInput(f"the test images of {self.data.name} have no labels, which an evaluation needs; give them")
        images, labels = self.data.train_set.tensors
        seed = self.split.seed
        held_out, rest = class_balanced(labels, self.split.validation, random_for("validation", seed))
        lost = sorted(set(labels.tolist()) - set(labels[rest].tolist()))
        if lost:
            share = f"split.validation, {self.split.validation:g} of {len(labels)} images,"
            raise BadInput(
                f"{share} leaves none of class {lost[0]} to train on; expected two images or more of every class, and "
                "a smaller share"
            )
        if self.split.fraction < 1:
            rest = rest[class_balanced(labels[rest], self.split.fraction, random_for("fraction", seed))[0]]
        true = labels[rest]
        noisy = noisy_labels(
            true,
            self.split.label_noise,
            self.data.num_classes,
            kind=self.split.label_noise_kind,
            data=self.data.name if type(self.data) in (CIFAR10, Digits) else "",  # a folder may have these names
            seed=seed,
        )
        self.train_set = TensorDataset(images[rest], noisy)
        self.val_set = TensorDataset(images[held_out], labels[held_out])
        self.wrong_labels = (noisy != true).double().mean().item()

    def describe(self) -> dict[str, Any]:
        """Return the numbers of images and of wrong labels, for the report."""
        return {
            "data": self.data.name,
            "resolution": self.data.resolution,
            "train_images": len(self.train_set),
            "validation_images": len(self.val_set),
            "test_images": len(self.test_set),
            "label_noise": self.split.label_noise,
            "label_noise_kind": self.split.label_noise_kind,
            "wrong_labels": round(self.wrong_labels, 6),
        }

    @override
    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        # A module that trains on one batch several times in a row says so.
        replays = getattr(self._trainer.lightning_module, "replays", 1)
        count = self.overfit_batches * self.data.batch_size * self._trainer.world_size or len(self.train_set)
        images = self.train_set
        if count < len(images):  # drawn, since a folder's are in the order of classes
            drawn = torch.randperm(len(images), generator=random_for("overfit", self.data.seed))[:count]
            images = TensorDataset(*(tensor[drawn] for tensor in images.tensors))
        return self._loader(images, shuffle=True, replays=replays)

    @override
    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return self._loader(self.val_set, shuffle=False)

    def test_dataloader(self) -> list[int]:
        """Return one empty batch: the evaluation is a callback's, and Lightning needs a batch to run its loop."""
        return [0]

    @property
    def _trainer(self) -> pl.Trainer:
        assert self.trainer is not None
        return self.trainer

    def _loader(self, dataset: TensorDataset, *, shuffle: bool, replays: int = 1) -> DataLoader[tuple[Tensor, ...]]:
        rank, world_size = self._trainer.global_rank, self._trainer.world_size
        seed = self.data.seed if shuffle else None
        order = EpochBatches(len(dataset), self.data.batch_size, seed, rank, world_size, replays)
        # A batch is one indexing of the tensors.
        return DataLoader(dataset, batch_size=None, sampler=order)
