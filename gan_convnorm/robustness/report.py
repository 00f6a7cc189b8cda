"""The report of a classifier's run: its configuration, accuracies and curves."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
from typing_extensions import override

from gan_convnorm.robustness.evaluation import RobustnessEvaluation
from gan_convnorm.run_folder import RunRecord, RunSettings

__all__ = ["ClassifierReport"]


class ClassifierReport(RunRecord):
    """Callback that writes config.yaml at the start, and summary.json and curves.png at the end.

    >>> evaluation = RobustnessEvaluation(attacks="none")
    >>> report = ClassifierReport(Path("run"), "", RunSettings("classifier", {}), evaluation)
    >>> report.packages[-2:]
    ('scipy', 'pillow')

    Args:
        folder: the run's folder; it exists.
        config: the complete configuration, YAML.
        settings: the record of it that every checkpoint keeps.
        evaluation: the callback that measures the classifier; its last result goes into summary.json.
    """

    packages = (*RunRecord.packages, "scipy", "pillow")

    def __init__(self, folder: Path, config: str, settings: RunSettings, evaluation: RobustnessEvaluation) -> None:
        super().__init__(folder, config, settings)
        self.evaluation = evaluation

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_fit_start(trainer, pl_module)
        if trainer.is_global_zero:
            data = trainer.datamodule.describe()  # type: ignore[attr-defined]
            print(
                f"{data['train_images']} images to train on, {100 * data['wrong_labels']:.2f}% of the labels wrong; "
                f"{data['validation_images']} clean ones to validate, {data['test_images']} to test",
                flush=True,
            )

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: object) -> None:
        pl_module.log("seconds", self.elapsed()["seconds"])

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        rows = self.rows(trainer)
        epochs = [
            {"step": int(r["step"]), **{k: float(r[k]) for k in ("val_accuracy", "val_loss")}}
            for r in rows
            if r.get("val_accuracy")
        ]
        results = {
            "last": epochs[-1] if epochs else None,  # a run may end before its first validation
            "best": max(epochs, key=lambda row: row["val_accuracy"], default=None),
            "best_of": "val_accuracy",
            # Of the last weights; `test` measures those of best.ckpt.
            "test": self.evaluation.last.to_dict() if self.evaluation.last else None,
            "data": trainer.datamodule.describe(),  # type: ignore[attr-defined]
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
        }
        self.write_summary(pl_module, results)
        _draw_curves(rows, self.folder / "curves.png")


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
