"""A forward that reads its weight several times, and finds the same one each time."""

from __future__ import annotations

import contextlib

from torch import nn
from torch.nn.utils import parametrize

__all__ = ["one_weight"]


def one_weight(layer: nn.Module) -> contextlib.AbstractContextManager[None]:
    """Return a context in which a parametrized layer computes its weight once, so that a random one stays the same.

    With a random parametrization, such as dropout of weights, a normalization and its convolution would otherwise use
    different weights. Nothing changes for layers without a parametrization.

    >>> layer = nn.Linear(1, 1)
    >>> with one_weight(layer):
    ...     layer.weight is layer.weight
    True

    Args:
        layer: whose weight is read in the block.
    """
    if parametrize.is_parametrized(layer, "weight"):
        cached: contextlib.AbstractContextManager[None] = parametrize.cached()
        return cached
    return contextlib.nullcontext()
