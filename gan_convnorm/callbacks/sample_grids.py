"""Pictures from the same noise at every evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

__all__ = ["SampleGrids", "save_grid", "save_image"]


class SampleGrids(pl.Callback):
    """Writes `folder`/step-NNNNNN.png, a grid of samples from the averaged generator, fixed noise.

    Args:
        folder: where to write; made when missing.
        count: images in the grid, ten in a row.
    """

    def __init__(self, folder: Path, count: int = 100) -> None:
        self.folder = folder
        self.count = count

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        module: Any = pl_module
        save_grid(module.sample(self.count), self.folder / f"step-{module.g_step:06d}.png")


def save_grid(images: Tensor, path: Path, columns: int = 10) -> None:
    """Write uint8 images (N, C, H, W) as one picture, row by row; small ones enlarged to about 64 pixels."""
    from torchvision.utils import make_grid

    path.parent.mkdir(parents=True, exist_ok=True)
    factor = max(1, 64 // images.shape[-1])
    enlarged = images.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
    save_image(make_grid(enlarged, nrow=columns, padding=2, pad_value=128), path)


def save_image(image: Tensor, path: Path) -> None:
    """Write one uint8 image (C, H, W), grey or RGB."""
    from torchvision.transforms.functional import to_pil_image

    to_pil_image(image).save(path)
