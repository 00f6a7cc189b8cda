"""The step that a training is at: the module's own count, or the trainer's."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

__all__ = ["counts_steps", "has_passed", "is_over", "step_of", "step_word"]


def has_passed(before: int, step: int, every: int) -> bool:
    """Return True if a multiple of `every` lies above the step `before` and not above `step`.

    A batch may have several optimizer steps, and the trainer counts each.

    >>> has_passed(98, 102, 100), has_passed(100, 104, 100)
    (True, False)
    """
    return step // every > before // every


def counts_steps(module: pl.LightningModule) -> bool:
    """Return True if a module counts its own steps, by a whole number `g_step` (generator steps).

    >>> gan, plain = pl.LightningModule(), pl.LightningModule()
    >>> gan.g_step = 7
    >>> counts_steps(gan), counts_steps(plain)
    (True, False)
    """
    return isinstance(getattr(module, "g_step", None), int)


def step_of(trainer: pl.Trainer, module: pl.LightningModule) -> int:
    """Return the number of steps done: the module's `g_step` if it has one, else the trainer's `global_step`.

    The trainer counts every optimizer's step, so a GAN with manual optimization counts two or more for each batch.

    >>> gan, plain = pl.LightningModule(), pl.LightningModule()
    >>> gan.g_step = 7
    >>> trainer = pl.Trainer(accelerator="cpu", logger=False)
    >>> step_of(trainer, gan), step_of(trainer, plain)
    (7, 0)
    """
    own: Any = getattr(module, "g_step", None)
    return own if counts_steps(module) else trainer.global_step


def step_word(module: pl.LightningModule) -> str:
    """Return "G step" for a module that counts its own steps, else "step".

    >>> gan, plain = pl.LightningModule(), pl.LightningModule()
    >>> gan.g_step = 7
    >>> step_word(gan), step_word(plain)
    ('G step', 'step')
    """
    return "G step" if counts_steps(module) else "step"


def is_over(trainer: pl.Trainer, module: pl.LightningModule) -> bool:
    """Return True if no training step follows: the module's `steps`, max_steps or max_epochs are reached.

    >>> trainer, gan = pl.Trainer(accelerator="cpu", logger=False), pl.LightningModule()
    >>> gan.g_step, gan.steps = 7, 8
    >>> is_over(trainer, gan)
    False
    >>> gan.g_step += 1
    >>> is_over(trainer, gan)
    True
    """
    steps: Any = getattr(module, "steps", None)
    if counts_steps(module) and isinstance(steps, int):
        return step_of(trainer, module) >= steps
    if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
        return True
    last_epoch = trainer.max_epochs is not None and 0 < trainer.max_epochs <= trainer.current_epoch + 1
    return trainer.should_stop or (last_epoch and bool(trainer.is_last_batch))
