"""How far the training is, in generator steps: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar
from rich.progress import BarColumn
from torch import Tensor
from typing_extensions import override

__all__ = ["StepProgressBar"]

#: weight of the newest step in the losses that are shown
NEWEST = 0.05
#: steps between two readings of the losses, each of which waits for the accelerator
READ_EVERY = 5
#: seconds from the start to the first plain line, and between two lines
FIRST, EVERY = 10.0, 30.0


class StepProgressBar(RichProgressBar):
    """Progress bar with the generator step of all steps, time left, smoothed losses and the last FID.

    Evaluations add no bar of their own. Where standard output is no terminal there is no bar: a plain line after 10
    seconds and then every 30 seconds has the step, the losses and an estimate of the time left.

    >>> StepProgressBar().is_enabled  # as a trainer asks before it draws a bar: here nobody looks at a terminal
    False
    """

    def __init__(self) -> None:
        super().__init__()
        self.smoothed: dict[str, Tensor] = {}
        self.shown: dict[str, float] = {}
        self.started = self.told = time.monotonic()
        self.first_step = 0

    @property
    @override
    def total_train_batches(self) -> int:
        # A batch is a generator step, and the stream of batches has no end.
        return self.trainer.lightning_module.steps  # type: ignore[return-value]

    @property
    @override
    def is_enabled(self) -> bool:
        return super().is_enabled and sys.stdout is not None and sys.stdout.isatty()

    def _get_train_description(self, current_epoch: int) -> str:
        return "G step"

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.started, self.first_step = time.monotonic(), _step(pl_module)
        self.told = self.started - EVERY + FIRST

    @override
    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self._smooth(outputs if isinstance(outputs, dict) else {}, batch_idx)
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if not self.is_enabled and trainer.is_global_zero and time.monotonic() - self.told >= EVERY:
            self.told = time.monotonic()
            print(self._line(pl_module), flush=True)

    def _smooth(self, losses: dict[str, Any], batch_idx: int) -> None:
        for name, short in (("d_loss", "D"), ("g_loss", "G")):
            if name in losses:
                loss = losses[name].detach()
                # Not in place: the first value is the module's own.
                self.smoothed[short] = self.smoothed[short].lerp(loss, NEWEST) if short in self.smoothed else loss
        if batch_idx % READ_EVERY == 0:
            self.shown = {short: float(value) for short, value in self.smoothed.items()}

    def _line(self, module: Any) -> str:  # noqa: ANN401
        step, seconds = _step(module), time.monotonic() - self.started
        left = seconds / max(1, step - self.first_step) * (module.steps - step)
        losses = "".join(f", {short} loss {value:.3f}" for short, value in self.shown.items())
        return f"G step {step} of {module.steps}{losses}, about {_duration(left)} left"

    @override
    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        return {**self.shown, **({"FID": metrics["fid"]} if "fid" in metrics else {})}

    @override
    def configure_columns(self, trainer: pl.Trainer) -> list[Any]:
        # Without the bar and the speed, one line holds everything on a terminal of 80 columns.
        from pytorch_lightning.callbacks.progress.rich_progress import ProcessingSpeedColumn

        columns = super().configure_columns(trainer)
        return [column for column in columns if not isinstance(column, BarColumn | ProcessingSpeedColumn)]

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


def _step(module: Any) -> int:  # noqa: ANN401
    return int(module.g_step)


def _duration(seconds: float) -> str:
    """Return a time in words, such as "3 min".

    >>> _duration(40), _duration(200), _duration(9000)
    ('40 s', '3 min', '2 h 30 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
