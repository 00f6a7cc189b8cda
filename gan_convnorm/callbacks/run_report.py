"""What a GAN's run leaves behind: its configuration, scores and curves, and a page with all of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from gan_convnorm.callbacks.fidelity_scores import FidelityScores
from gan_convnorm.callbacks.report_page import write_page
from gan_convnorm.callbacks.score_table import TITLES, cell, score_rows
from gan_convnorm.fidelity import BETTER, Scores
from gan_convnorm.run_folder import RunRecord, RunSettings

__all__ = ["RunReport"]

PAGE_EVERY = 300  # seconds


class RunReport(RunRecord):
    """Writes config.yaml at the start; summary.json, curves.png, report.html and a table on the terminal at the end.

    In a long run report.html is also there while it goes on, at most every five minutes anew.

    Args:
        folder: the run's folder; it exists.
        config: the complete configuration, YAML.
        settings: the record of it that every checkpoint keeps.
    """

    packages = (*RunRecord.packages, "torchmetrics", "torch-fidelity")

    def __init__(self, folder: Path, config: str, settings: RunSettings) -> None:
        super().__init__(folder, config, settings)
        self.times: list[dict[str, float]] = []
        self.page_written = time.monotonic()
        self.summary: dict[str, Any] | None = None

    @staticmethod
    def step(trainer: pl.Trainer, pl_module: pl.LightningModule) -> int:
        module: Any = pl_module
        return module.g_step

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "times": self.times}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.times = state_dict["times"]

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Before the checkpoint, which holds it; after the scores, whose callback stands before this one.
        self.times.append({"step": self.step(trainer, pl_module), **self.elapsed()})

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and time.monotonic() - self.page_written > PAGE_EVERY:
            for logger in trainer.loggers:
                logger.save()
            write_page(self.folder)
            self.page_written = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        scoring = next(c for c in trainer.callbacks if isinstance(c, FidelityScores))  # type: ignore[attr-defined]
        scores = scoring.last
        rows = score_rows(self.rows(trainer))
        if scores is None or not rows:
            return
        better = min if BETTER[scoring.best] == "min" else max
        results = {
            "last": rows[-1],
            "best": better(rows, key=lambda row: row[scoring.best]),
            "best_of": scoring.best,
            "protocol": scores.protocol,
            "final": scoring.final.to_dict() if scoring.final else None,
            "g_steps": self.step(trainer, pl_module),
            "times": self.times,
        }
        self.summary = self.write_summary(pl_module, results)
        write_page(self.folder)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # The progress bar is gone by now.
        if self.summary is not None:
            self._print_table(self.summary)

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
