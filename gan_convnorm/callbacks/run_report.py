"""The files of a GAN's run beside its checkpoints: configuration, summary, curves, and a page with all of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from typing_extensions import override

from gan_convnorm.callbacks.taken_scores import TakenScores
from gan_convnorm.report.run_page import score_cells, write_run_page
from gan_convnorm.run_folder import RunRecord, RunSettings
from gan_convnorm.score_table import best_row, protocol_in_words, score_rows, titles

__all__ = ["RunReport"]

PAGE_EVERY = 300  # seconds


class RunReport(RunRecord):
    """Writes config.yaml at the start; summary.json, curves.png, report.html and a table on the terminal at the end.

    In a long run report.html is also written after an evaluation, at most every five minutes.

    Args:
        folder: the run's folder; it exists.
        config: the complete configuration, YAML.
        settings: the record of it that every checkpoint keeps.
        taken: the scores of the run, which another callback fills.
    """

    packages = (*RunRecord.packages, "torchmetrics", "torch-fidelity")

    def __init__(self, folder: Path, config: str, settings: RunSettings, taken: TakenScores) -> None:
        super().__init__(folder, config, settings)
        self.taken = taken
        self.times: list[dict[str, float]] = []
        self.page_written = time.monotonic()
        self.summary: dict[str, Any] | None = None

    @staticmethod
    @override
    def step(trainer: pl.Trainer, pl_module: pl.LightningModule) -> int:
        module: Any = pl_module
        return int(module.g_step)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "times": self.times}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.times = state_dict["times"]

    @override
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Before the checkpoint, which holds it; after the scores, whose callback stands before this one.
        self.times.append({"step": self.step(trainer, pl_module), **self.elapsed()})

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and time.monotonic() - self.page_written > PAGE_EVERY:
            for logger in trainer.loggers:
                logger.save()
            write_run_page(self.folder)
            self.page_written = time.monotonic()

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        taken = self.taken
        rows = score_rows(self.rows(trainer))
        if taken.last is None or not rows:
            return
        results = {
            "last": rows[-1],
            "best": best_row(rows, taken.best),
            "best_of": taken.best,
            "protocol": taken.last.protocol,
            "final": taken.final.to_dict() if taken.final else None,
            "g_steps": self.step(trainer, pl_module),
            "times": self.times,
        }
        self.summary = self.write_summary(pl_module, results)
        write_run_page(self.folder)

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # The progress bar is gone by now.
        if self.summary is not None:
            self._print_table(self.summary)

    def _print_table(self, summary: dict[str, Any]) -> None:
        from rich.console import Console
        from rich.table import Table

        shown = titles(summary["last"])
        title = f"{summary['g_steps']} G steps, {summary['seconds']:.0f} s"
        table = Table("", "G step", *shown.values(), title=title, title_justify="left")
        for cells in score_cells(summary, list(shown)):
            table.add_row(*cells)
        Console().print(table)
        print(f"last, best: {protocol_in_words(summary['protocol'])}")
        if final := summary["final"]:
            print(f"final ({final['protocol']['name']}): {protocol_in_words(final['protocol'])}")
        for name in ("best.ckpt", "last.ckpt", "samples", "curves.png", "report.html", "summary.json"):
            print(self.folder / name, flush=True)
