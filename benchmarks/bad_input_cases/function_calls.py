"""Values and a network that the cases of public functions share."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["BATCH", "INF", "NAN", "sequence"]

NAN, INF = float("nan"), float("inf")
BATCH = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def sequence() -> nn.Module:
    """Return a convolution and a BatchNorm."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
