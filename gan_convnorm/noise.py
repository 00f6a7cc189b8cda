"""Random numbers that depend on what they are for, not on what was drawn before."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["BLOCK", "numbered_noise", "random_for"]

#: rows of noise that are drawn at once; who generates whole blocks from multiples of it gets the same images
#: however the work is shared out
BLOCK = 256


def random_for(purpose: str, *numbers: int) -> torch.Generator:
    """A generator for one purpose: independent of the global state, and so exact on resume.

    Args:
        purpose: a word, such as "train".
        numbers: what else tells it apart, such as seed, rank and step; zero or above.
    """
    entropy = [int.from_bytes(purpose.encode(), "big"), *numbers]
    seed = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed) >> 1)


def numbered_noise(start: int, stop: int, size: int, seed: int) -> Tensor:
    """Rows start to stop of a seed's endless normal noise: row i depends on the seed and on i alone.

    Returns:
        float32, shape (stop - start, size), on the CPU.
    """
    if stop <= start:
        return torch.empty(0, size)
    blocks = [
        torch.randn(BLOCK, size, generator=random_for("sample", seed, number))
        for number in range(start // BLOCK, (stop - 1) // BLOCK + 1)
    ]
    return torch.cat(blocks)[start % BLOCK :][: stop - start]
