"""Curves and samples in TensorBoard."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers import TensorBoardLogger
from typing_extensions import override

__all__ = ["TensorBoardCurves"]


class TensorBoardCurves(TensorBoardLogger):
    """Lightning's TensorBoard logger, which writes to `folder`/tensorboard.

    A run that ends before its first step leaves no such folder.

    >>> Path(TensorBoardCurves(Path("run")).log_dir).as_posix()
    'run/tensorboard'

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, name="", version="tensorboard")
        self.empty = not Path(self.log_dir).exists()

    @rank_zero_only
    def log_hyperparams(self, *args: object, **kwargs: object) -> None:
        """Write nothing: config.yaml has the hyperparameters."""

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.empty = False
        super().log_metrics(metrics, step)

    @override
    @rank_zero_only
    def finalize(self, status: str) -> None:
        if not Path(self.log_dir).is_dir():
            return  # deleted during the run, which says so itself; the writer's thread would print a traceback
        super().finalize(status)
        if self.empty:
            shutil.rmtree(self.log_dir, ignore_errors=True)
