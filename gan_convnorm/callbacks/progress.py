"""One progress bar, in generator steps."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar
from rich.progress import BarColumn
from typing_extensions import override

__all__ = ["StepProgressBar"]


class StepProgressBar(RichProgressBar):
    """A bar with the generator step of all steps, time left, losses and the last FID.

    Evaluations add no bar of their own.
    """

    @property
    @override
    def total_train_batches(self) -> int:
        # A batch is a generator step, and the stream of batches has no end.
        return self.trainer.lightning_module.steps  # type: ignore[return-value]

    def _get_train_description(self, current_epoch: int) -> str:
        return "G step"

    @override
    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        names = {"d_loss": "D", "g_loss": "G", "fid": "FID"}
        return {short: metrics[name] for name, short in names.items() if name in metrics}

    @override
    def configure_columns(self, trainer: pl.Trainer) -> list[Any]:
        # Without a bar, one line holds everything on a terminal of 80 columns.
        return [column for column in super().configure_columns(trainer) if not isinstance(column, BarColumn)]

    def show_scoring(self, done: int, total: int) -> None:
        """Stand in for the steps' description while images are scored."""
        if self.progress is None or self.train_progress_bar_id is None:
            return
        text = f"scoring {done}/{total}" if done < total else self._get_train_description(0)
        self.progress.update(self.train_progress_bar_id, description=text)
        self.refresh()

    @override
    def on_validation_batch_start(self, *args: object, **kwargs: object) -> None:
        """Show no bar: an evaluation has one empty batch."""
