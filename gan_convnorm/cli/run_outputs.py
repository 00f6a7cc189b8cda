"""Loggers and checkpoints in the folder of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger

from gan_convnorm.run_folder import LAST, MetricsFile

__all__ = ["best_and_last", "loggers"]


def loggers(folder: Path, chosen: object, default: Sequence[Logger]) -> list[Logger]:
    """Return the logger of metrics.csv and those that the configuration chooses.

    Args:
        folder: of the run.
        chosen: the Trainer's setting `logger`: loggers, one logger, a bool, or None for the default.
        default: loggers where nothing is chosen.

    >>> [type(each).__name__ for each in loggers(Path("run"), chosen=False, default=[])]
    ['MetricsFile']
    """
    others: Sequence[Logger]
    if chosen is None:
        others = default
    elif isinstance(chosen, list):
        others = chosen
    else:
        others = [chosen] if isinstance(chosen, Logger) else []
    return [MetricsFile(folder / "metrics.csv"), *others]


def best_and_last(
    folder: Path, monitor: str, mode: str, *, save_on_train_epoch_end: bool
) -> tuple[ModelCheckpoint, ModelCheckpoint]:
    """Return the callbacks that keep the best and the last checkpoint of a run.

    Args:
        folder: of the run.
        monitor: the logged value that tells the best.
        mode: "min" or "max".
        save_on_train_epoch_end: save after an epoch's last step, else after each evaluation.

    >>> best, last = best_and_last(Path("run"), "fid", "min", save_on_train_epoch_end=False)
    >>> best.filename, best.monitor, last.filename
    ('best', 'fid', 'last')
    """

    def keep(name: str, monitor: str | None = None) -> ModelCheckpoint:
        return ModelCheckpoint(
            folder,
            name,
            monitor=monitor,
            mode=mode,
            save_on_train_epoch_end=save_on_train_epoch_end,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )

    # Lightning's own save_last follows the best checkpoint, not the newest.
    return keep("best", monitor), keep(Path(LAST).stem)
