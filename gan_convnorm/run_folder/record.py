"""The record of what a run was made with and how long it took."""

from __future__ import annotations

import json
import math
import platform
import time
from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.run_folder.metrics_file import MetricsFile, read_rows
from gan_convnorm.run_folder.provenance import commit, versions
from gan_convnorm.run_folder.run_settings import RUN, RunSettings

__all__ = ["RunRecord"]


class RunRecord(pl.Callback):
    """Callback that writes config.yaml at the start, and summary.json when a subclass asks.

    A resumed run continues its metrics.csv.

    Seconds are the sum over a run and the runs that it resumes, on the clock and of CPU time.

    Args:
        folder: the run's folder; it exists.
        config: the complete configuration, YAML.
        settings: the record of it that every checkpoint keeps.

    Attributes:
        packages: those whose versions the summary names.

    >>> record = RunRecord(Path("run"), "", RunSettings("gan", {}))
    >>> sorted(record.elapsed())
    ['cpu_seconds', 'seconds']
    """

    packages: ClassVar[tuple[str, ...]] = ("torch", "torchvision", "pytorch-lightning", "numpy")

    def __init__(self, folder: Path, config: str, settings: RunSettings) -> None:
        self.folder = folder
        self.config = config
        self.settings = settings
        self.seconds = self.cpu_seconds = 0.0  # of the runs that this one resumes
        self.started, self.cpu_started = time.monotonic(), time.process_time()

    @staticmethod
    def step(trainer: pl.Trainer, pl_module: pl.LightningModule) -> int:
        """Return the step that a row of metrics.csv has."""
        return trainer.global_step

    @override
    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # The module adds its own part, or has added it already.
        checkpoint[RUN] = {**self.settings.to_dict(), "model": checkpoint.get(RUN, {}).get("model", {})}

    @override
    def state_dict(self) -> dict[str, Any]:
        return dict(self.elapsed())

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in ("seconds", "cpu_seconds"):
            value = state_dict.get(name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise BadInput(
                    f"the checkpoint's {type(self).__name__} has {name} {value!r:.40}; expected a number from 0"
                )
        self.seconds, self.cpu_seconds = state_dict["seconds"], state_dict["cpu_seconds"]

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started, self.cpu_started = time.monotonic(), time.process_time()

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Any checkpoint has been restored by now: the step is known, and no check can refuse the run any more.
        if trainer.is_global_zero:
            self._write("config.yaml", self.config)
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFile):
                logger.keep(self.step(trainer, pl_module))

    def elapsed(self) -> dict[str, float]:
        """Return the "seconds" and "cpu_seconds" of this run and of those that it resumes."""
        return {
            "seconds": round(self.seconds + time.monotonic() - self.started, 1),
            "cpu_seconds": round(self.cpu_seconds + time.process_time() - self.cpu_started, 1),
        }

    def rows(self, trainer: pl.Trainer) -> list[dict[str, str]]:
        """Return the rows of metrics.csv, with all that was logged so far."""
        for logger in trainer.loggers:
            logger.save()
        return read_rows(self.folder / "metrics.csv")

    def write_summary(self, pl_module: pl.LightningModule, results: dict[str, Any]) -> dict[str, Any]:
        """Write summary.json: the results, the time they took, and what they were made with; return its values."""
        summary = {
            **results,
            **self.elapsed(),
            "hyperparameters": dict(pl_module.hparams),
            "versions": versions(self.packages),
            "python": platform.python_version(),
            "commit": commit(),
        }
        self._write("summary.json", json.dumps(summary, indent=2) + "\n")
        return summary

    def _write(self, name: str, text: str) -> None:
        with atomic_write(self.folder / name) as part:
            part.write_text(text, encoding="utf-8")
