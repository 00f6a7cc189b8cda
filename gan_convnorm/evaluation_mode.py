"""Evaluation mode for the time of a measurement, after which every module has its own mode again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn

__all__ = ["evaluating"]


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode inside the block, then give each submodule its own mode back.

    No norm's state advances in evaluation mode. The modes return after an error too.

    >>> network = nn.Sequential(nn.Dropout().eval(), nn.Dropout())
    >>> with evaluating(network):
    ...     [part.training for part in network]
    [False, False]
    >>> [part.training for part in network]
    [False, True]

    Args:
        module: any module, also in evaluation mode already.
    """
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
