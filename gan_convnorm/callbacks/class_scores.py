"""FID within each class of a conditional module's samples."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from gan_convnorm.callbacks.reference_images import ReferenceImages
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import Evaluator, GeneratedImages, check_classes, intra_class_fid

__all__ = ["check_intra_class", "intra_class_scores"]


def check_intra_class(module: pl.LightningModule, real: ReferenceImages, num_fake: int) -> None:
    """Raise unless FID within classes can be computed.

    >>> from gan_convnorm.callbacks.reference_images import given_images
    >>> module = pl.LightningModule()
    >>> module.num_classes = 3
    >>> real = given_images((torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 0, 1, 1])))
    >>> check_intra_class(module, real, 6)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: class 2 has 2 fakes and 0 real images; FID within a class needs 2 or more of ...

    Args:
        module: with `num_classes`, the number of its classes.
        real: the real images, with labels.
        num_fake: number of samples.

    Raises:
        BadInput: a module without classes, images without labels, or too few of a class.
    """
    check_classes(_classes(module, num_fake), _labels(real))


def intra_class_scores(
    evaluator: Evaluator,
    images: GeneratedImages,
    module: pl.LightningModule,
    real: ReferenceImages,
    *,
    numbered: bool = True,
) -> tuple[Tensor, str]:
    """Return the mean of the FIDs within classes, float64, and a line with each.

    >>> from gan_convnorm.callbacks.reference_images import given_images
    >>> from gan_convnorm.fidelity import create_extractor
    >>> images, labels = torch.arange(16, dtype=torch.uint8).view(4, 1, 2, 2), torch.arange(4) % 2
    >>> extractor = create_extractor("classifier", metrics=("fid",), labelled=(images, labels))
    >>> module = pl.LightningModule()
    >>> module.num_classes = 2
    >>> fakes = GeneratedImages(lambda first, n: images[first : first + n], 4, "copies of the real images")
    >>> real = given_images((images, labels))
    >>> intra_class_scores(Evaluator(extractor, images, metrics="fid"), fakes, module, real)[1]
    'intra-class FID 0.00, mean of 2 classes with about 2 fakes each (0: 0.00, 1: 0.00)'

    Args:
        evaluator: whose extractor, batch size and progress are used.
        images: the samples; sample i is of class i modulo `num_classes`.
        module: with `num_classes`.
        real: the real images, with labels.
        numbered: i is the number in the whole series; otherwise in the call of `sample`, which is not told more.
    """
    source: Any = real.source
    fids = intra_class_fid(
        evaluator.extractor,
        images,
        _classes(module, len(images), numbered),
        torch.cat(list(source.batches(0, len(source), 1024))),
        _labels(real),
        batch_size=evaluator.batch_size,
        progress=evaluator.progress,
    )
    mean = torch.tensor(list(fids.values()), dtype=torch.float64).mean()
    each = ", ".join(f"{label}: {fid:.2f}" for label, fid in fids.items())
    line = (
        f"intra-class FID {mean:.2f}, mean of {len(fids)} classes with about {len(images) // len(fids)} fakes each "
        f"({each})"
    )
    return mean, line


def _classes(module: pl.LightningModule, num_fake: int, numbered: bool = True) -> Tensor:
    """Return the classes of the fakes: those that `sample` takes when it is given none."""
    count: Any = getattr(module, "num_classes", None)
    if not isinstance(count, int):
        raise BadInput("intra_class is asked for, and this GAN is not conditional (--conditional)")
    numbers = torch.arange(num_fake)
    return (numbers if numbered else numbers % GeneratedImages.block) % count


def _labels(real: ReferenceImages) -> Tensor:
    if real.labels is None:
        raise BadInput(f"intra_class is asked for, and the {real.name} have no labels")
    return real.labels
