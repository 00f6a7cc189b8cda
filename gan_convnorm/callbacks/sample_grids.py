"""Pictures from the same noise at every evaluation."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from torch import Tensor
from typing_extensions import override

from gan_convnorm.images.grid import picture_grid, save_image
from gan_convnorm.run_folder import check_folder

__all__ = ["SampleGrids"]


class SampleGrids(pl.Callback):
    """Writes `folder`/step-NNNNNN.png, a grid of samples from the averaged generator, fixed noise.

    Args:
        folder: where to write; made when missing.
        count: images in the grid, ten in a row.
    """

    def __init__(self, folder: Path, count: int = 100) -> None:
        self.folder = folder
        self.count = count

    @override
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        module: Any = pl_module
        check_folder(self.folder.parent)
        picture = picture_grid(module.sample(self.count))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_image(picture, self.folder / f"step-{module.g_step:06d}.png")
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            # Not worth a run.
            warnings.warn(f"samples of G step {module.g_step} are not written: {error}", stacklevel=2)
        for logger in trainer.loggers:
            _show(logger, picture, module.g_step)


def _show(logger: Logger, picture: Tensor, step: int) -> None:
    """Log samples where they can be looked at beside the curves."""
    if isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image("samples", picture, step)
    elif isinstance(logger, WandbLogger):
        logger.log_image("samples", [picture.permute(1, 2, 0).numpy()], step=step)
