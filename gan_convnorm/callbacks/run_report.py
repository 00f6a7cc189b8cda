"""What a run leaves behind: its configuration, scores, curves, and what they were made with."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from gan_convnorm import __version__
from gan_convnorm.callbacks.fidelity_scores import FidelityScores
from gan_convnorm.callbacks.metrics_file import read_rows

__all__ = ["RunReport"]

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "torch-fidelity", "numpy")


class RunReport(pl.Callback):
    """Writes config.yaml at the start; summary.json, curves.png and a table on the terminal at the end.

    Args:
        folder: the run's folder; it exists.
        config: the complete configuration, YAML; also kept in every checkpoint.
    """

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.config = config
        self.seconds = 0.0  # of earlier sittings of a resumed run
        self.started = time.monotonic()
        self.summary: dict[str, Any] | None = None

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

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            logger.save()
        scores = next(c for c in trainer.callbacks if isinstance(c, FidelityScores)).last  # type: ignore[attr-defined]
        rows = _score_rows(self.folder / "metrics.csv")
        if scores is None or not rows:
            return
        module: Any = pl_module
        self.summary = {
            "last": rows[-1],
            "best": min(rows, key=lambda row: row["fid"]),
            "protocol": scores.protocol,
            "g_steps": module.g_step,
            "seconds": round(self._elapsed(), 1),
            "hyperparameters": dict(pl_module.hparams),
            "versions": {"gan_convnorm": __version__, **{name: version(name) for name in PACKAGES}},
            "python": platform.python_version(),
            "commit": _commit(),
        }
        _write(self.folder / "summary.json", json.dumps(self.summary, indent=2) + "\n")
        _draw_curves(read_rows(self.folder / "metrics.csv"), rows, self.folder / "curves.png")

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # The progress bar is gone by now.
        if self.summary is not None:
            self._print_table(self.summary)

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.started

    def _print_table(self, summary: dict[str, Any]) -> None:
        from rich.console import Console
        from rich.table import Table

        protocol, steps, seconds = summary["protocol"], summary["g_steps"], summary["seconds"]
        table = Table("", "G step", "FID", "IS", title=f"{steps} G steps, {seconds:.0f} s", title_justify="left")
        for name in ("last", "best"):
            row = summary[name]
            table.add_row(name, str(row["g_step"]), f"{row['fid']:.2f}", f"{row['isc']:.2f} +- {row['isc_std']:.2f}")
        Console().print(table)
        print(
            f"{protocol['extractor']} features; {protocol['n_fake']} {protocol['fake']} against "
            f"{protocol['n_real']} {protocol['reference']}; IS over {protocol['isc_splits']} splits"
        )
        for name in ("best.ckpt", "last.ckpt", "samples", "curves.png", "summary.json"):
            print(self.folder / name, flush=True)


def _score_rows(path: Path) -> list[dict[str, Any]]:
    return [
        {"g_step": int(row["step"]), **{name: float(row[name]) for name in ("fid", "isc", "isc_std")}}
        for row in read_rows(path)
        if row.get("fid")
    ]


def _draw_curves(rows: list[dict[str, str]], scores: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3), layout="constrained")
    for axes, name, title in zip(figure.subplots(1, 3), ("loss", "fid", "isc"), ("loss", "FID", "IS"), strict=True):
        if name == "loss":
            for column, label in (("d_loss", "D"), ("g_loss", "G")):
                points = [(int(row["step"]), float(row[column])) for row in rows if row.get(column)]
                axes.plot(*zip(*points, strict=True) if points else ((), ()), label=label)
            axes.legend()
        else:
            axes.plot([row["g_step"] for row in scores], [row[name] for row in scores], marker="o")
        axes.set(title=title, xlabel="G step")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def _write(path: Path, text: str) -> None:
    """Written aside and renamed, so that a killed run leaves a whole file."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    os.replace(part, path)


def _commit() -> str | None:
    """The checkout's commit, with "-dirty" where it was changed; None for an installed package."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
