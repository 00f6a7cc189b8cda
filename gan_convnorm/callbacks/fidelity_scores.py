"""IS and FID at every evaluation."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

from gan_convnorm.fidelity import Evaluator, Scores, check_num_fake, create_extractor, registered_name

__all__ = ["FidelityScores"]


class FidelityScores(pl.Callback):
    """Scores the averaged generator: against the train split in fit and validate, the test split in test.

    Logs "fid", "isc" and "isc_std", so that a checkpoint or a stopping rule can follow them, and prints a line.

    Args:
        extractor: feature extractor: classifier (trained on the data's labelled train split) or inception.
        num_fake: number of generated images.
        isc_splits: parts over which the Inception Score's mean and deviation are taken.
        batch_size: images in one forward of the extractor.
    """

    def __init__(
        self, extractor: str = "classifier", num_fake: int = 2000, isc_splits: int = 10, batch_size: int = 64
    ) -> None:
        # Before a run has a folder.
        registered_name(extractor)
        check_num_fake(num_fake, isc_splits)
        self.extractor = extractor
        self.num_fake = num_fake
        self.isc_splits = isc_splits
        self.batch_size = batch_size
        self.evaluator: Evaluator | None = None
        self.split = ""
        self.last: Scores | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Not at the first evaluation: missing weights end a run before it starts.
        self._prepare(trainer, "train")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._prepare(trainer, "train")

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._prepare(trainer, "test")

    def _prepare(self, trainer: pl.Trainer, split: str) -> None:
        if self.split == split:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        reference = (data.test_set if split == "test" else data.train_set).tensors[0]
        print(
            f"preparing the scores: {self.extractor} features of {len(reference)} {data.name} {split} images",
            flush=True,
        )
        labelled = data.train_set.tensors if len(data.train_set.tensors) > 1 else None
        self.evaluator = Evaluator(
            create_extractor(self.extractor, labelled=labelled, device=trainer.strategy.root_device),
            reference,
            f"{data.name} {split} images",
            isc_splits=self.isc_splits,
            batch_size=self.batch_size,
        )
        self.split = split

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            self._score(trainer, pl_module)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._score(trainer, pl_module)

    def _score(self, trainer: pl.Trainer, pl_module: Any) -> None:
        assert self.evaluator is not None
        self.last = scores = self.evaluator(pl_module.sample(self.num_fake), "EMA samples")
        # As float64 tensors: plain floats would be logged in float32.
        values = {name: torch.tensor(value, dtype=torch.float64) for name, value in scores.values.items()}
        pl_module.log("fid", values.pop("fid"), prog_bar=True)
        # Lightning takes "step" for the logs' axis: generator steps.
        pl_module.log_dict({**values, "step": float(pl_module.g_step)})
        if trainer.is_global_zero:
            print(f"G step {pl_module.g_step}: {scores.line()}", flush=True)
