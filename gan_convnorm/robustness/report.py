"""What a classifier's run leaves behind: its configuration, scores, curves, and what they were made with."""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from gan_convnorm.atomic_write import atomic_write
from gan_convnorm.callbacks.metrics_file import MetricsFile, read_rows
from gan_convnorm.provenance import commit, versions
from gan_convnorm.robustness.evaluation import RobustnessEvaluation

__all__ = ["ClassifierReport"]

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "numpy", "scipy", "pillow")


class ClassifierReport(pl.Callback):
    """Writes config.yaml at the start, summary.json and curves.png at the end.

    Args:
        folder: the run's folder; it exists.
        config: the complete configuration, YAML; also kept in every checkpoint.
    """

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.config = config
        self.seconds = 0.0  # of training, in earlier sittings of a resumed run too
        self.started = time.monotonic()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["config"] = self.config

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self._elapsed()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds = state_dict["seconds"]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.monotonic()
        if trainer.is_global_zero:
            _write(self.folder / "config.yaml", self.config)
            data = trainer.datamodule.describe()  # type: ignore[attr-defined]
            print(
                f"{data['train_images']} images to train on, {100 * data['wrong_labels']:.2f}% of the labels wrong; "
                f"{data['validation_images']} clean ones to validate, {data['test_images']} to test",
                flush=True,
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFile):
                logger.keep(trainer.global_step)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        pl_module.log("seconds", self._elapsed())

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            logger.save()
        rows = read_rows(self.folder / "metrics.csv")
        epochs = [
            {"step": int(r["step"]), **{k: float(r[k]) for k in ("val_accuracy", "val_loss")}}
            for r in rows
            if r.get("val_accuracy")
        ]
        if not epochs:
            return
        evaluation = next(c for c in trainer.callbacks if isinstance(c, RobustnessEvaluation))  # type: ignore[attr-defined]
        summary = {
            "last": epochs[-1],
            "best": max(epochs, key=lambda row: row["val_accuracy"]),
            "best_of": "val_accuracy",
            # Of the last weights; `test` measures those of best.ckpt.
            "test": evaluation.last.to_dict() if evaluation.last else None,
            "data": trainer.datamodule.describe(),  # type: ignore[attr-defined]
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "seconds": round(self._elapsed(), 1),
            "hyperparameters": dict(pl_module.hparams),
            "versions": versions(PACKAGES),
            "python": platform.python_version(),
            "commit": commit(),
        }
        _write(self.folder / "summary.json", json.dumps(summary, indent=2) + "\n")
        _draw_curves(rows, self.folder / "curves.png")

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.started


def _draw_curves(rows: list[dict[str, str]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split in ("train", "val"):
            column = f"{split}_{quantity}"
            points = [(int(row["step"]), float(row[column])) for row in rows if row.get(column)]
            axes.plot(*zip(*points, strict=True) if points else ((), ()), label=split)
        axes.set(title=quantity, xlabel="step")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as part:
        part.write_text(text)
