"""Random numbers by purpose: they depend on their purpose and place, not on what was drawn before.

They do not depend on torch's default type either, which Lightning changes under double or half precision.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from gan_convnorm.errors import BadInput

__all__ = ["BLOCK", "SharedRandom", "numbered_latents", "random_for"]

#: latents that are drawn at once. Work is split at multiples of it, so the images do not depend on the split
BLOCK = 256


def random_for(purpose: str, *numbers: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a source of random numbers for one purpose.

    It does not depend on the global random state, so a resumed run draws the same numbers.

    >>> torch.rand(3, generator=random_for("train", 0, 7))
    tensor([0.4518, 0.4202, 0.7181])
    >>> torch.rand(3, generator=random_for("train", 0, 7))  # the same again
    tensor([0.4518, 0.4202, 0.7181])

    Args:
        purpose: a word, such as "train".
        numbers: zero or above, that tell it apart, such as seed and step.
        device: where it draws; the numbers depend on the kind of device.

    Returns:
        A newly seeded rng, equal for equal arguments.
    """
    entropy = [int.from_bytes(purpose.encode(), "big"), *numbers]
    seed = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(seed) >> 1)


class SharedRandom:
    """Random rows of the whole batch, of which each process takes its own.

    Every process draws all rows. So a row depends on its place in the whole batch, not on the number of processes: two
    processes with half the batch each get what one process gets for all of it.

    >>> whole = SharedRandom(random_for("train", 0)).whole(4, below=100)
    >>> halves = [SharedRandom(random_for("train", 0), rank, world_size=2).whole(2, below=100) for rank in (0, 1)]
    >>> torch.equal(torch.cat(halves), whole)
    True

    Args:
        rng: of `random_for`, the same on every process.
        rank: this process.
        world_size: number of processes.
    """

    def __init__(self, rng: torch.Generator, rank: int = 0, world_size: int = 1) -> None:
        self.rng = rng
        self.rank = rank
        self.world_size = world_size

    def normal(self, count: int, *shape: int) -> Tensor:
        """Return `count` rows of standard normal numbers for this process: float32, shape (count, *shape)."""
        return self._own(partial(torch.randn, dtype=torch.float32), count, shape)

    def uniform(self, count: int, *shape: int) -> Tensor:
        """Return `count` rows of uniform numbers in [0, 1) for this process: float32, shape (count, *shape)."""
        return self._own(partial(torch.rand, dtype=torch.float32), count, shape)

    def whole(self, count: int, below: int) -> Tensor:
        """Return `count` whole numbers from 0 to below - 1 for this process: int64, shape (count,)."""
        return self._own(partial(torch.randint, below), count, ())

    def _own(self, draw: Callable[..., Tensor], count: int, shape: tuple[int, ...]) -> Tensor:
        size = (self.world_size * count, *shape)
        rows = draw(size, generator=self.rng, device=self.rng.device)
        return rows[self.rank * count : (self.rank + 1) * count]


def numbered_latents(start: int, stop: int, size: int, seed: int, truncation: float | None = None) -> Tensor:
    """Return rows start to stop of a seed's endless series of normal latents: row i depends on the seed and on i alone.

    >>> torch.equal(numbered_latents(0, 300, 8, seed=1)[255:257], numbered_latents(255, 257, 8, seed=1))
    True

    Args:
        start: first row.
        stop: last row + 1.
        size: columns.
        seed: of the series.
        truncation: limit of the absolute values, above 0: numbers of the truncated normal distribution take the place
            of those with the same cumulative probability. None for no limit.

    Returns:
        float32, shape (stop - start, size), on the CPU.

    Raises:
        BadInput: a truncation that is not above 0.
    """
    if stop <= start:
        return torch.empty(0, size, dtype=torch.float32)
    blocks = [
        torch.randn(BLOCK, size, generator=random_for("sample", seed, number), dtype=torch.float32)
        for number in range(start // BLOCK, (stop - 1) // BLOCK + 1)
    ]
    latents = torch.cat(blocks)[start % BLOCK :][: stop - start]
    if truncation is None:
        return latents
    if not truncation > 0:
        raise BadInput(f"truncation is {truncation}, and must be above 0")
    probability = torch.special.ndtr(latents.double())
    edge = torch.special.ndtr(torch.tensor(-truncation, dtype=torch.float64))
    truncated: Tensor = torch.special.ndtri(edge + probability * (1 - 2 * edge))
    return truncated.float()
