"""Random numbers that depend on what they are for, not on what was drawn before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from gan_convnorm.errors import BadInput

__all__ = ["BLOCK", "SharedRandom", "numbered_noise", "random_for"]

#: rows of noise that are drawn at once; who generates whole blocks from multiples of it gets the same images
#: however the work is shared out
BLOCK = 256


def random_for(purpose: str, *numbers: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for one purpose: independent of the global state, and so exact on resume.

    Args:
        purpose: a word, such as "train".
        numbers: what else tells it apart, such as seed and step; zero or above.
        device: where it draws.
    """
    entropy = [int.from_bytes(purpose.encode(), "big"), *numbers]
    seed = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(seed) >> 1)


class SharedRandom:
    """Random rows that all processes draw alike, of which each takes its own.

    So a row depends on its place in the whole batch, not on how many processes share it: two processes with half the
    batch each draw what one process draws for all of it.

    Args:
        generator: of `random_for`, the same on every process.
        rank: this process.
        world_size: number of processes.
    """

    def __init__(self, generator: torch.Generator, rank: int = 0, world_size: int = 1) -> None:
        self.generator = generator
        self.rank = rank
        self.world_size = world_size

    def normal(self, count: int, *shape: int) -> Tensor:
        """Standard normal, float32, shape (count, *shape), `count` rows to a process."""
        return self._own(torch.randn, count, shape)

    def uniform(self, count: int, *shape: int) -> Tensor:
        """Uniform in [0, 1), float32, shape (count, *shape), `count` rows to a process."""
        return self._own(torch.rand, count, shape)

    def whole(self, count: int, below: int) -> Tensor:
        """Whole numbers from 0 to below - 1, int64, shape (count,), `count` to a process."""
        return self._own(partial(torch.randint, below), count, ())

    def _own(self, draw: Callable[..., Tensor], count: int, shape: tuple[int, ...]) -> Tensor:
        size = (self.world_size * count, *shape)
        rows = draw(size, generator=self.generator, device=self.generator.device)
        return rows[self.rank * count : (self.rank + 1) * count]


def numbered_noise(start: int, stop: int, size: int, seed: int, truncation: float | None = None) -> Tensor:
    """Rows start to stop of a seed's endless normal noise: row i depends on the seed and on i alone.

    Args:
        start: first row.
        stop: last row + 1.
        size: columns.
        seed: of the series.
        truncation: numbers of the normal distribution within +-truncation, of the same ranks.

    Returns:
        float32, shape (stop - start, size), on the CPU.
    """
    if stop <= start:
        return torch.empty(0, size)
    blocks = [
        torch.randn(BLOCK, size, generator=random_for("sample", seed, number))
        for number in range(start // BLOCK, (stop - 1) // BLOCK + 1)
    ]
    noise = torch.cat(blocks)[start % BLOCK :][: stop - start]
    if truncation is None:
        return noise
    if not truncation > 0:
        raise BadInput(f"truncation is {truncation}, and must be above 0")
    rank = torch.special.ndtr(noise.double())
    edge = torch.special.ndtr(torch.tensor(-truncation, dtype=torch.float64))
    return torch.special.ndtri(edge + rank * (1 - 2 * edge)).float()
