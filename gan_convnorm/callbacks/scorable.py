"""Checks, before training, of everything that a score needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from gan_convnorm.callbacks.class_scores import check_intra_class
from gan_convnorm.callbacks.reference_images import ReferenceImages
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import check_numbers, check_weights_file, registered_name

__all__ = ["check_finite_weights", "check_reference"]


def check_reference(
    real: ReferenceImages,
    module: pl.LightningModule,
    *,
    extractor: str,
    extractor_weights: str | None,
    metrics: tuple[str, ...],
    numbers: tuple[int, ...],
    intra_class: bool,
) -> None:
    """Raise unless the scores can be computed with these images and this extractor.

    >>> import torch
    >>> from gan_convnorm.callbacks.reference_images import given_images
    >>> real = given_images(torch.zeros(4, 4, 8, 8, dtype=torch.uint8))
    >>> scores = dict(metrics=("fid",), numbers=(100,), intra_class=False)
    >>> check_reference(real, pl.LightningModule(), extractor="inception", extractor_weights=None, **scores)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: the data have 4 channels (RGBA), and the extractor inception takes 3; score with ...

    Args:
        real: the images to compare with.
        module: that is to be scored.
        extractor: name of the feature extractor.
        extractor_weights: its weights file.
        metrics: the scores that are asked for.
        numbers: of fakes, in every evaluation that is to come.
        intra_class: FID within classes is asked for.

    Raises:
        BadInput: too few images, no labels or classes where they are needed, a weights file that cannot be read, or
            RGBA images for an extractor of RGB.
    """
    if real.labelled is not None and real.labelled[0].shape[1] == 4 and extractor != "classifier":
        raise BadInput(
            f"the data have 4 channels (RGBA), and the extractor {extractor} takes 3; score with --extractor "
            "classifier, or train without the alpha channel (--data.channels 3)"
        )
    if hasattr(real.source, "__len__"):
        for number in numbers:
            check_numbers(number, len(real.source), metrics)
    if intra_class:
        check_intra_class(module, real, numbers[-1])
    if extractor_weights is not None:
        check_weights_file(registered_name(extractor), Path(extractor_weights))


def check_finite_weights(module: pl.LightningModule, ema: bool) -> None:
    """Raise for weights that are NaN or infinite: a score of their images is a number all the same.

    >>> import torch
    >>> module = pl.LightningModule()
    >>> module.scale = torch.nn.Parameter(torch.tensor(torch.nan))
    >>> check_finite_weights(module, ema=False)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: the weights scale are NaN or infinite; their images mean nothing, and are not scored

    Args:
        module: that is scored; its `generator_with(ema=...)` is checked where it has one.
        ema: the averaged weights.

    Raises:
        BadInput: the first weights that are not finite.
    """
    choose: Any = getattr(module, "generator_with", None)
    network: Any = module if choose is None else choose(ema=ema)
    averaged = "averaged " if ema and network is not module else ""
    for name, value in network.named_parameters():
        if not value.isfinite().all():
            raise BadInput(
                f"the {averaged}weights {name} are NaN or infinite; their images mean nothing, and are not scored"
            )
