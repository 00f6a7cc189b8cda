"""Generated images as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BasePredictionWriter
from torch import Tensor

from gan_convnorm.callbacks.sample_grids import save_grid, save_image

__all__ = ["ImageWriter"]

GRID = 100


class ImageWriter(BasePredictionWriter):
    """Writes every predicted image as `folder`/NNNNN.png, and the first hundred as `folder`/grid.png.

    Args:
        folder: where to write; it exists.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(write_interval="batch")
        self.folder = folder
        self.count = 0
        self.first: list[Tensor] = []

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Tensor,
        batch_indices: Any,
        batch: Tensor,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        for number, image in zip(batch.tolist(), prediction, strict=True):
            save_image(image, self.folder / f"{number:05d}.png")
        self.count += len(prediction)
        if len(self.first) < GRID:
            self.first.extend(prediction[: GRID - len(self.first)])

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        save_grid(torch.stack(self.first), self.folder / "grid.png")
        print(f"wrote {self.count} images and grid.png to {self.folder}", flush=True)
