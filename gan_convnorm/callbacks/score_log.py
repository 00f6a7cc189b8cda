"""Scores of a training in the logs, on the progress bar and in the terminal."""

from __future__ import annotations

import textwrap
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from gan_convnorm.callbacks.step_count import counts_steps, step_of, step_word
from gan_convnorm.fidelity import Scores

__all__ = ["ScoreLog"]


class ScoreLog:
    """The place where evaluations say their scores: the module's `log`, its loggers and the terminal.

    >>> ScoreLog("ema_", best="fid", own_steps=False).prefix
    'ema_'

    Args:
        prefix: of all logged names.
        best: name of the score that the progress bar shows.
        own_steps: evaluations come at steps of their own, in place of Lightning's validations.
    """

    def __init__(self, prefix: str, best: str, own_steps: bool) -> None:
        self.prefix = prefix
        self.best = best
        self.own_steps = own_steps
        self.told: list[dict[str, Any]] = []

    def tell(self, trainer: pl.Trainer, module: pl.LightningModule, scores: Scores, whole: str, kind: str) -> None:
        """Log scores and print them in a line; before the first of a protocol, say what they mean.

        Args:
            trainer: of the run.
            module: that was scored.
            scores: the same on every process.
            whole: "final_" for the scores of the whole protocol after the last step, else "".
            kind: "raw_" for the current weights' scores beside the averaged ones', else "".
        """
        # Every process has the same values; Lightning warns where it is not told so.
        sync, step = trainer.world_size > 1, step_of(trainer, module)
        # Between two evaluations of a training epoch Lightning would write the old values again.
        between = trainer.training and self.own_steps
        for name, value in scores.values.items():
            # As float64 tensors: plain floats would be logged in float32.
            logged = torch.tensor(value, dtype=torch.float64)
            shown = name == self.best and not whole + kind
            full_name = f"{self.prefix}{whole}{kind}{name}"
            module.log(full_name, logged, prog_bar=shown, sync_dist=sync, logger=not between)
            for logger in trainer.loggers if between and trainer.is_global_zero else ():
                logger.log_metrics({full_name: value}, step)
        if counts_steps(module):
            # Lightning takes "step" for the logs' axis.
            module.log("step", float(step), sync_dist=sync, logger=not between)
        if trainer.is_global_zero:
            if scores.protocol not in self.told:
                meaning = f"scores ({scores.protocol['name']}): {scores.meaning()}"
                print(textwrap.fill(meaning, 80, break_long_words=False, break_on_hyphens=False))
                self.told.append(scores.protocol)
            print(f"{step_word(module)} {step}{kind and ' raw'}: {scores.line()}", flush=True)

    def tell_classes(self, trainer: pl.Trainer, module: pl.LightningModule, mean: Tensor, line: str) -> None:
        """Log the mean FID within classes, and print a line.

        Args:
            trainer: of the run.
            module: that was scored.
            mean: over classes, a float64 scalar.
            line: the mean and each class's FID in words.
        """
        module.log(f"{self.prefix}intra_fid", mean, sync_dist=trainer.world_size > 1)
        if trainer.is_global_zero:
            print(f"{step_word(module)} {step_of(trainer, module)}: {line}", flush=True)
