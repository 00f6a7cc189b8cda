"""Pictures from the same noise during training."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from torch import Tensor
from typing_extensions import override

from gan_convnorm.callbacks.generated_samples import SampleFunction, check_range, sampler
from gan_convnorm.callbacks.step_count import has_passed, step_of, step_word
from gan_convnorm.errors import BadInput
from gan_convnorm.images.grid import picture_grid, save_image
from gan_convnorm.images.value_range import ValueRange
from gan_convnorm.run_folder import check_folder

__all__ = ["SampleGrids"]

#: steps after which samples are drawn, besides those of evaluations
EARLY = (0, 10, 100)


class SampleGrids(pl.Callback):
    """Callback that writes grids of a module's samples, `folder`/step-NNNNNN.png, and shows them in the loggers.

    It draws at every validation (after every epoch where there is no validation loop) and after a few early steps, so
    that the first picture does not wait for the first evaluation. The samples are of the same noise each time, if the
    module's `sample` takes `first` or draws from torch's global random state.
    TensorBoard, Weights & Biases and MLflow show them as "samples".

    >>> from gan_convnorm.callbacks import SampleGrids
    >>> SampleGrids("samples", count=64, early=(0, 50)).early
    (0, 50)

    Args:
        folder: where to write; made when missing.
        count: images in the grid, ten in a row.
        sample: as in `FidelityScores`; the module's own `sample` when None.
        value_range: as in `FidelityScores`.
        every: steps between two grids, in place of those at validations.
        early: steps of the training after which a grid is drawn besides; 0 is before the first.

    Raises:
        BadInput: no image; in a run: a module without samples, or samples that are no images.
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        count: int = 100,
        *,
        sample: SampleFunction | None = None,
        value_range: ValueRange | None = None,
        every: int | None = None,
        early: Sequence[int] = EARLY,
    ) -> None:
        if count < 1:
            raise BadInput(f"count is {count}; expected 1 image or more")
        if every is not None and every < 1:
            raise BadInput(f"every is {every}; expected 1 step or more, or None for every validation")
        check_range(value_range)
        self.folder = Path(folder)
        self.count = count
        self.sample = sample
        self.value_range = value_range
        self.every = every
        self.early = tuple(early)
        self.drawn = -1
        self.last_step = 0

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.last_step = step_of(trainer, pl_module)
        if self.last_step == 0 and 0 in self.early:
            self._draw(trainer, pl_module)

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        before, self.last_step = self.last_step, step_of(trainer, pl_module)
        early = any(before < step <= self.last_step for step in self.early)
        if early or (self.every is not None and has_passed(before, self.last_step, self.every)):
            self._draw(trainer, pl_module)

    @override
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Outside fit the trainer's step is 0 again, whose picture is another one's.
        if self.every is None and trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._draw(trainer, pl_module)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.every is None and not trainer.enable_validation:
            self._draw(trainer, pl_module)

    def _draw(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        step = step_of(trainer, module)
        if not trainer.is_global_zero or step == self.drawn:
            return
        self.drawn = step
        check_folder(self.folder.parent)
        picture = picture_grid(sampler(module, self.sample, self.value_range)(0, self.count))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_image(picture, self.folder / f"step-{step:06d}.png")
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            # Not worth a run.
            warnings.warn(f"samples of {step_word(module)} {step} are not written: {error}", stacklevel=2)
        for logger in trainer.loggers:
            _show(logger, picture, step)


def _show(logger: Logger, picture: Tensor, step: int) -> None:
    """Log samples where they can be looked at beside the curves."""
    pixels = picture.permute(1, 2, 0).numpy()
    if isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image("samples", picture, step)
    elif isinstance(logger, WandbLogger):
        logger.log_image("samples", [pixels], step=step)
    elif isinstance(logger, MLFlowLogger):
        logger.experiment.log_image(logger.run_id, pixels, key="samples", step=step)
