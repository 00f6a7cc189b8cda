"""The order of a classifier's images, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from gan_convnorm.random_streams import random_for

__all__ = ["EpochBatches"]


class EpochBatches(Sampler[list[int]]):
    """Each epoch's batches of indices, the order a function of the seed and the epoch alone.

    With several processes each takes its part of every batch. A shuffled epoch omits the images that do not fill its
    last batch, other ones every time; without a seed the order is that of the data and nothing is omitted.

    >>> list(EpochBatches(5, 2, None))
    [[0, 1], [2, 3], [4]]

    Args:
        size: number of images.
        batch_size: images in one process's batch.
        seed: seeds the order; none for the data's own.
        rank: this process.
        world_size: number of processes.
        replays: how often each batch is given in a row.
    """

    def __init__(
        self, size: int, batch_size: int, seed: int | None, rank: int = 0, world_size: int = 1, replays: int = 1
    ) -> None:
        self.size = size
        self.whole = batch_size * world_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.replays = replays
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; Lightning calls this at its start."""
        self.epoch = epoch

    def __len__(self) -> int:
        whole_batches = self.size // self.whole
        if self.seed is None or not whole_batches:
            whole_batches = -(-self.size // self.whole)
        return whole_batches * self.replays

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.arange(self.size)
        if self.seed is not None:
            order = torch.randperm(self.size, generator=random_for("epoch", self.seed, self.epoch))
        for number in range(len(self)):
            start = number // self.replays * self.whole
            yield order[start : start + self.whole][self.rank :: self.world_size].tolist()
