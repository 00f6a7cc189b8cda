"""The times of a run at which it is evaluated."""

from __future__ import annotations

import pytorch_lightning as pl
from typing_extensions import override

from gan_convnorm.callbacks.step_count import has_passed, step_of

__all__ = ["Evaluations"]


class Evaluations(pl.Callback):
    """A callback that evaluates at every validation, or at a fixed interval of steps, and in validate and test.

    In fit without a validation loop it evaluates after every epoch. The sanity check is skipped. A subclass defines
    `prepare` and `evaluate`.

    >>> Evaluations(every=100, split_in_fit="train").every
    100

    Args:
        every: steps between two evaluations in fit, in place of those at validations.
        split_in_fit: the split that is evaluated against in fit and validate; in test it is "test".
    """

    def __init__(self, every: int | None, split_in_fit: str) -> None:
        self.every = every
        self.split_in_fit = split_in_fit
        self.last_step = 0

    def prepare(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Make ready for evaluations against a split; called again, do nothing."""
        raise NotImplementedError

    def evaluate(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Evaluate once."""
        raise NotImplementedError

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Now, so that missing weights end the run before it trains.
        self.prepare(trainer, pl_module, self.split_in_fit)

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.last_step = step_of(trainer, pl_module)
        # The loaders are there only now.
        self.prepare(trainer, pl_module, self.split_in_fit)

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            self.prepare(trainer, pl_module, self.split_in_fit)

    @override
    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.prepare(trainer, pl_module, "test")

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        before, self.last_step = self.last_step, step_of(trainer, pl_module)
        if self.every is not None and has_passed(before, self.last_step, self.every):
            self._evaluate(trainer, pl_module)

    @override
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or (trainer.state.fn == "fit" and self.every is not None):
            return
        self._evaluate(trainer, pl_module)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.every is None and not trainer.enable_validation:
            self._evaluate(trainer, pl_module)

    @override
    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._evaluate(trainer, pl_module)

    def _evaluate(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # The loaders may only be there now.
        self.prepare(trainer, module, "test" if trainer.state.fn == "test" else self.split_in_fit)
        self.evaluate(trainer, module)
