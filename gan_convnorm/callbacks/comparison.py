"""The two things that samples are compared by: real images, and an extractor of features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl

from gan_convnorm.callbacks.reference_images import ReferenceImages, given_images, trainer_images
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import (
    Evaluator,
    Processes,
    check_numbers,
    check_weights_file,
    create_extractor,
    registered_name,
)
from gan_convnorm.fidelity.features import Progress
from gan_convnorm.fidelity.value_range import ValueRange

__all__ = ["Comparison"]


@dataclass
class Comparison:
    """Real images and an extractor, found and checked before hours of training.

    >>> import torch
    >>> images = torch.zeros(8, 1, 4, 4, dtype=torch.uint8)
    >>> comparison = Comparison(images, None, "classifier", None, ("fid",), (50,), isc_splits=1, batch_size=4)
    >>> comparison.evaluator is None  # before `prepare`
    True

    Attributes:
        reference: the real images that a person gave; None for the trainer's.
        value_range: of floating-point images.
        extractor: name of the feature extractor.
        extractor_weights: its weights file, or None.
        metrics: to compute.
        numbers: the numbers of samples that will be compared.
        isc_splits: parts of the Inception Score.
        batch_size: images in one forward of the extractor.
        real: the real images; None before `prepare`, as are the following.
        evaluator: computes the scores.
        split: "train" or "test".
    """

    reference: object
    value_range: ValueRange | None
    extractor: str
    extractor_weights: str | None
    metrics: tuple[str, ...]
    numbers: tuple[int, ...]
    isc_splits: int
    batch_size: int
    real: ReferenceImages | None = None
    evaluator: Evaluator | None = None
    split: str = ""

    def is_ready(self, split: str) -> bool:
        """Return True if nothing is left to prepare for the split; a given reference is the same for both."""
        return self.split == split or (self.evaluator is not None and self.reference is not None)

    def find(self, trainer: pl.Trainer, split: str) -> ReferenceImages | None:
        """Return the images to compare with; None as long as the trainer's loaders are not there."""
        if self.reference is None:
            return trainer_images(trainer, split, self.value_range)
        return Processes.current().together(lambda: given_images(self.reference, self.value_range))

    def check(self, real: ReferenceImages) -> None:
        """Raise for all that a score of these real images would refuse.

        Args:
            real: the images to compare with.

        Raises:
            BadInput: too few images, RGBA images for an extractor of RGB, or a file that holds no weights.
        """
        if real.labelled is not None and real.labelled[0].shape[1] == 4 and self.extractor != "classifier":
            raise BadInput(
                f"the data have 4 channels (RGBA), and the extractor {self.extractor} takes 3; score with --extractor "
                "classifier, or train without the alpha channel (--data.channels 3)"
            )
        if hasattr(real.source, "__len__"):
            for number in self.numbers:
                check_numbers(number, len(real.source), self.metrics)
        if self.extractor_weights is not None:
            check_weights_file(registered_name(self.extractor), Path(self.extractor_weights))

    def prepare(self, trainer: pl.Trainer, real: ReferenceImages, split: str, progress: Progress) -> None:
        """Create the extractor, and take the real images' features.

        Args:
            trainer: of the run.
            real: the images to compare with.
            split: the split that they are of.
            progress: told how far an evaluation is.
        """
        if trainer.is_global_zero:
            count = f"{len(real.source)} " if hasattr(real.source, "__len__") else ""
            print(f"preparing the scores: {self.extractor} features of {count}{real.name}", flush=True)
        extractor = create_extractor(
            self.extractor,
            metrics=self.metrics,
            labelled=real.labelled,
            weights=self.extractor_weights,
            device=trainer.strategy.root_device,
        )
        self.evaluator = Evaluator(
            extractor,
            real.source,
            metrics=self.metrics,
            reference_name=real.name,
            isc_splits=self.isc_splits,
            batch_size=self.batch_size,
            progress=progress,
        )
        self.real, self.split = real, split
