"""The step that a training is at: the module's own count, or the trainer's."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

__all__ = ["counts_steps", "is_over", "step_of", "step_word"]


def counts_steps(module: pl.LightningModule) -> bool:
    """Return True if a module counts its own steps, by a whole number `g_step` (generator steps).

    >>> counts_steps(pl.LightningModule())
    False
    """
    return isinstance(getattr(module, "g_step", None), int)


def step_of(trainer: pl.Trainer, module: pl.LightningModule) -> int:
    """Return the number of steps done: the module's `g_step` if it has one, else the trainer's `global_step`.

    The trainer counts every optimizer's step, so a GAN with manual optimization counts two or more for each batch.

    >>> from types import SimpleNamespace
    >>> step_of(SimpleNamespace(global_step=10), SimpleNamespace(g_step=5))
    5
    """
    own: Any = getattr(module, "g_step", None)
    return own if counts_steps(module) else trainer.global_step


def step_word(module: pl.LightningModule) -> str:
    """Return "G step" for a module that counts its own steps, else "step".

    >>> step_word(pl.LightningModule())
    'step'
    """
    return "G step" if counts_steps(module) else "step"


def is_over(trainer: pl.Trainer, module: pl.LightningModule) -> bool:
    """Return True if no training step follows: the module's `steps`, max_steps or max_epochs are reached.

    >>> from types import SimpleNamespace
    >>> is_over(SimpleNamespace(global_step=10), SimpleNamespace(g_step=5, steps=5))
    True
    """
    steps: Any = getattr(module, "steps", None)
    if counts_steps(module) and isinstance(steps, int):
        return step_of(trainer, module) >= steps
    if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
        return True
    last_epoch = trainer.max_epochs is not None and 0 < trainer.max_epochs <= trainer.current_epoch + 1
    return trainer.should_stop or (last_epoch and bool(trainer.is_last_batch))
