"""The margin of a classification, which SPSA and the Square attack lower."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["margins"]


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the true class's logit minus the largest other logit.

    >>> margins(torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, -1.0]]), torch.tensor([0, 2]))
    tensor([ 1., -6.])

    Args:
        logits: shape (B, K), K of 2 or more.
        labels: true classes, int64, shape (B,).

    Returns:
        Margins, shape (B,); below zero for a wrong prediction.
    """
    true = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return true[:, 0] - others.amax(dim=1)
