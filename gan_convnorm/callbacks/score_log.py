"""Scores in a module's logs and in lines of the terminal."""

from __future__ import annotations

import textwrap
from typing import Any

import pytorch_lightning as pl
import torch

from gan_convnorm.callbacks.step_count import counts_steps, step_of, step_word
from gan_convnorm.fidelity import Scores

__all__ = ["ScoreLog"]


class ScoreLog:
    """The logs of one callback's scores.

    Args:
        prefix: of the logged names.
        shown: name of the score that the progress bar shows.
        mid_epoch: evaluations come in the middle of training epochs, so values go to the loggers directly.

    >>> ScoreLog("ema_", "fid", mid_epoch=False).prefix
    'ema_'
    """

    def __init__(self, prefix: str, shown: str, *, mid_epoch: bool) -> None:
        self.prefix, self.shown, self.mid_epoch = prefix, shown, mid_epoch
        self.told: list[dict[str, Any]] = []

    def write(
        self, trainer: pl.Trainer, module: pl.LightningModule, scores: Scores, kind: str, *, after: bool = False
    ) -> None:
        """Log scores and print a line with them; before the first of a protocol, print what they mean.

        Args:
            trainer: of the run; all of its processes call this with the same scores.
            module: that logs them.
            scores: of one evaluation.
            kind: part of the names: "final_", "raw_", both or none.
            after: the training has ended, and a module logs nothing any more.
        """
        # Every process has the same values; Lightning warns where it is not told so.
        sync, step = trainer.world_size > 1, step_of(trainer, module)
        direct = self._is_direct(trainer, after)
        logged_by_lightning = bool(trainer.loggers) and not direct
        for name, value in scores.values.items():
            # As float64 tensors: plain floats would be logged in float32.
            logged = torch.tensor(value, dtype=torch.float64)
            full_name = f"{self.prefix}{kind}{name}"
            shown = name == self.shown and not kind
            if not after:
                module.log(full_name, logged, prog_bar=shown, sync_dist=sync, logger=logged_by_lightning)
            for logger in trainer.loggers if direct and trainer.is_global_zero else ():
                logger.log_metrics({full_name: value}, step)
        if counts_steps(module) and not after:
            # Lightning takes "step" for the logs' axis.
            module.log("step", float(step), sync_dist=sync, logger=logged_by_lightning)
        if trainer.is_global_zero:
            if scores.protocol not in self.told:
                meaning = f"scores ({scores.protocol['name']}): {scores.meaning()}"
                print(textwrap.fill(meaning, 80, break_long_words=False, break_on_hyphens=False))
                self.told.append(scores.protocol)
            self.say(trainer, module, scores.line(), " raw" if "raw_" in kind else "")

    def write_class_mean(
        self, trainer: pl.Trainer, module: pl.LightningModule, mean: torch.Tensor, line: str, *, after: bool
    ) -> None:
        """Log the mean of the FIDs within classes, and print the line with all of them; `after` as in `write`."""
        name, direct = f"{self.prefix}intra_fid", self._is_direct(trainer, after)
        if not after:
            module.log(name, mean, sync_dist=trainer.world_size > 1, logger=bool(trainer.loggers) and not direct)
        for logger in trainer.loggers if direct and trainer.is_global_zero else ():
            logger.log_metrics({name: float(mean)}, step_of(trainer, module))
        self.say(trainer, module, line)

    def _is_direct(self, trainer: pl.Trainer, after: bool) -> bool:
        """Return whether values go to the loggers directly: in the middle of an epoch and after the training.

        Within a training epoch Lightning would write the old values again.
        """
        return after or (trainer.training and self.mid_epoch)

    @staticmethod
    def say(trainer: pl.Trainer, module: pl.LightningModule, line: str, kind: str = "") -> None:
        """Print a line with the module's step, on the first process alone."""
        if trainer.is_global_zero:
            print(f"{step_word(module)} {step_of(trainer, module)}{kind}: {line}", flush=True)
