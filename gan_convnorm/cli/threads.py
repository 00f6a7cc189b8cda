"""The number of CPU threads of a run."""

from __future__ import annotations

import os

import torch

from gan_convnorm.errors import BadInput

__all__ = ["set_threads"]


def set_threads(number: int | None) -> None:
    """Let torch, and the processes that are started, use a number of CPU threads; None leaves torch's own.

    Raises:
        BadInput: more threads than cores.

    >>> set_threads(10**6)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: --threads is 1000000, and this machine has ...
    """
    if number is None:
        return
    cores = os.cpu_count() or 1
    if number > cores:
        raise BadInput(f"--threads is {number}, and this machine has {cores} cores; expected 1 to {cores}")
    torch.set_num_threads(number)
    # For the processes that are started, and for Lightning, which otherwise shares out the cores among them.
    os.environ["OMP_NUM_THREADS"] = str(number)
