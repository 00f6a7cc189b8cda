"""What every data module has in common: bytes in memory, shapes, and an endless shuffled stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from gan_convnorm.errors import BadInput

__all__ = ["EndlessBatches", "ImageData"]


class ImageData(pl.LightningDataModule):
    """An image data set with a train split, and perhaps labels and a test split.

    Subclasses set `train_set` and `test_set` in `setup`, datasets of uint8 images (N, C, H, W) and, where there are
    labels, int64 labels (N,), and the shapes in their constructor, since networks are built from them before any image
    is read.

    Args:
        resolution: side of the images in pixels.
        channels: channels of the images.
        num_classes: number of classes, None for images without labels.
        batch_size: images in one discriminator step (in any step of another module).
        seed: seeds the order of the images.

    Attributes:
        name: the data set's name in scores and run names.
        test_set: None where there is no test split; `split` says so in words.
    """

    name: str
    train_set: TensorDataset
    test_set: TensorDataset | None

    def __init__(self, resolution: int, channels: int, num_classes: int | None, batch_size: int, seed: int) -> None:
        super().__init__()
        for argument, value in (("resolution", resolution), ("batch_size", batch_size)):
            if value < 1:
                raise BadInput(f"{argument} is {value}, and must be 1 or more")
        self.resolution = resolution
        self.channels = channels
        self.num_classes = num_classes
        self.batch_size = batch_size
        self.seed = seed

    def split(self, name: str) -> TensorDataset:
        """The train or the test split.

        Raises:
            BadInput: there is no test split.
        """
        chosen = self.train_set if name == "train" else self.test_set
        if chosen is None:
            raise BadInput(f"the data {self.name} have no {name} split; choose a protocol that scores against train")
        return chosen

    def train_dataloader(self) -> EndlessBatches:
        trainer = self.trainer
        assert trainer is not None
        # A module that takes several batches in one step says so.
        per_step = getattr(trainer.lightning_module, "batches_per_step", 1)
        return EndlessBatches(
            self.train_set, self.batch_size * per_step, self.seed, trainer.global_rank, trainer.world_size
        )

    def val_dataloader(self) -> list[int]:
        """One empty batch: scores compare whole sets, and Lightning needs a batch to run its loop."""
        return [0]

    test_dataloader = val_dataloader


class EndlessBatches:
    """Shuffled batches without end, each pass over the data in an order of its own.

    The order is a function of the seed and the pass alone, and the position is part of Lightning's checkpoint: a
    resumed run sees the batches it would have seen. With several processes each takes its part of every batch.

    Args:
        dataset: a data set of tensors that takes a list of indices.
        batch_size: rows in one process's batch.
        seed: seeds the order.
        rank: this process.
        world_size: number of processes.
    """

    def __init__(self, dataset: TensorDataset, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.position = 0

    def __len__(self) -> int:
        # Lightning reads one batch ahead of a loader without a length, and the position would run ahead with it.
        return 10**9

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        while True:
            start = self.position + self.rank * self.batch_size
            self.position += self.world_size * self.batch_size
            yield self.dataset[self._indices(start, start + self.batch_size)]

    def _indices(self, start: int, stop: int) -> Tensor:
        size = len(self.dataset)
        passes = [self._permutation(number) for number in range(start // size, (stop - 1) // size + 1)]
        offset = start % size
        return torch.cat(passes)[offset : offset + stop - start]

    def _permutation(self, number: int) -> Tensor:
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        return torch.randperm(len(self.dataset), generator=random)

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.position = state["position"]
