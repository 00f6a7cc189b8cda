"""Curves and samples in TensorBoard."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

__all__ = ["TensorBoardCurves"]


class TensorBoardCurves(TensorBoardLogger):
    """Lightning's logger, writing to `folder`/tensorboard, which is gone again when a run ends before it has begun.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, name="", version="tensorboard")
        self.empty = not Path(self.log_dir).exists()

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: config.yaml has them."""

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.empty = False
        super().log_metrics(metrics, step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if not Path(self.log_dir).is_dir():
            return  # deleted during the run, which says so itself; the writer's thread would print a traceback
        super().finalize(status)
        if self.empty:
            shutil.rmtree(self.log_dir, ignore_errors=True)
