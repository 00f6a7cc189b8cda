"""The parts of a module and of its data that scores need; any LightningModule may have them."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor
from torch.utils.data import TensorDataset

__all__ = ["SampledModule", "SplitData"]


class SampledModule(Protocol):
    """A module that makes images.

    Attributes:
        g_step: generator steps done.
        steps: all generator steps of its training.
        num_classes: number of classes of a conditional generator; None for any other.
    """

    g_step: int
    steps: int
    num_classes: int | None

    def sample(self, n: int, *, first: int = 0, ema: bool = True) -> Tensor:
        """Return images FIRST to FIRST + n - 1, uint8 (n, C, H, W), of the averaged or the current weights."""

    def log(self, name: str, value: float | Tensor, **options: object) -> None:
        """Log a value, as LightningModule does."""


class SplitData(Protocol):
    """Data with splits.

    Attributes:
        name: of the data, for people.
        train_set: images, uint8 (N, C, H, W), and where there are classes labels, int64 (N,).
    """

    name: str
    train_set: TensorDataset

    def split(self, name: str) -> TensorDataset:
        """Return the split "train" or "test"."""
