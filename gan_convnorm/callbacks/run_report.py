"""What a run leaves behind: its configuration, scores, curves, and what they were made with."""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from gan_convnorm.atomic_write import atomic_write
from gan_convnorm.callbacks.fidelity_scores import FidelityScores
from gan_convnorm.callbacks.metrics_file import MetricsFile, read_rows
from gan_convnorm.callbacks.report_page import write_page
from gan_convnorm.callbacks.score_table import TITLES, cell, score_rows
from gan_convnorm.fidelity import BETTER, Scores
from gan_convnorm.provenance import commit, versions

__all__ = ["RunReport"]

PAGE_EVERY = 300  # seconds
PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "torch-fidelity", "numpy")


class RunReport(pl.Callback):
    """Writes config.yaml at the start; summary.json, curves.png, report.html and a table on the terminal at the end.

    In a long run report.html is also there while it goes on, at most every five minutes anew.

    Args:
        folder: the run's folder; it exists.
        config: the complete configuration, YAML; also kept in every checkpoint.
    """

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.config = config
        self.seconds = self.cpu_seconds = 0.0  # of earlier sittings of a resumed run
        self.times: list[dict[str, float]] = []
        self.started = self.page_written = time.monotonic()
        self.cpu_started = time.process_time()
        self.summary: dict[str, Any] | None = None

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["config"] = self.config

    def state_dict(self) -> dict[str, Any]:
        return {**self._elapsed(), "times": self.times}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds, self.cpu_seconds = state_dict["seconds"], state_dict["cpu_seconds"]
        self.times = state_dict["times"]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started, self.cpu_started = time.monotonic(), time.process_time()
        if trainer.is_global_zero:
            _write(self.folder / "config.yaml", self.config)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Only now a checkpoint has been read, and the step is known.
        module: Any = pl_module
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFile):
                logger.keep(module.g_step)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Before the checkpoint, which holds it; after the scores, whose callback stands before this one.
        module: Any = pl_module
        self.times.append({"step": module.g_step, **self._elapsed()})

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and time.monotonic() - self.page_written > PAGE_EVERY:
            for logger in trainer.loggers:
                logger.save()
            write_page(self.folder)
            self.page_written = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            logger.save()
        scoring = next(c for c in trainer.callbacks if isinstance(c, FidelityScores))  # type: ignore[attr-defined]
        scores = scoring.last
        rows = score_rows(read_rows(self.folder / "metrics.csv"))
        if scores is None or not rows:
            return
        better = min if BETTER[scoring.best] == "min" else max
        module: Any = pl_module
        self.summary = {
            "last": rows[-1],
            "best": better(rows, key=lambda row: row[scoring.best]),
            "best_of": scoring.best,
            "protocol": scores.protocol,
            "final": scoring.final.to_dict() if scoring.final else None,
            "g_steps": module.g_step,
            **self._elapsed(),
            "times": self.times,
            "hyperparameters": dict(pl_module.hparams),
            "versions": versions(PACKAGES),
            "python": platform.python_version(),
            "commit": commit(),
        }
        _write(self.folder / "summary.json", json.dumps(self.summary, indent=2) + "\n")
        write_page(self.folder)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # The progress bar is gone by now.
        if self.summary is not None:
            self._print_table(self.summary)

    def _elapsed(self) -> dict[str, float]:
        """Of all sittings: seconds on the clock, and of this process's CPU time."""
        return {
            "seconds": round(self.seconds + time.monotonic() - self.started, 1),
            "cpu_seconds": round(self.cpu_seconds + time.process_time() - self.cpu_started, 1),
        }

    def _print_table(self, summary: dict[str, Any]) -> None:
        from rich.console import Console
        from rich.table import Table

        steps, seconds = summary["g_steps"], summary["seconds"]
        names = [name for name in TITLES if name in summary["last"]]
        titles = [TITLES[name] for name in names]
        table = Table("", "G step", *titles, title=f"{steps} G steps, {seconds:.0f} s", title_justify="left")
        for label in ("last", "best"):
            row = summary[label]
            table.add_row(label, str(row["g_step"]), *(cell(row, name) for name in names))
        if final := summary["final"]:
            table.add_row("final", str(steps), *(cell(final["values"], name) for name in names))
        Console().print(table)
        print(f"last, best: {Scores({}, summary['protocol']).meaning()}")
        if final:
            print(f"final ({final['protocol']['name']}): {Scores({}, final['protocol']).meaning()}")
        for name in ("best.ckpt", "last.ckpt", "samples", "curves.png", "report.html", "summary.json"):
            print(self.folder / name, flush=True)


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as part:
        part.write_text(text)
