"""The images of a training batch, and their classes if the GAN is conditional."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from gan_convnorm.errors import BadInput

__all__ = ["Batch", "Labelled", "images_and_labels"]

#: images of a data module, or a sequence of images and labels
Batch = Tensor | Sequence[Tensor]


class Labelled(NamedTuple):
    """Images of shape (B, C, H, W) in [-1, 1], and their classes of shape (B,), None without classes.

    >>> import torch
    >>> Labelled(torch.zeros(2, 1, 4, 4), torch.tensor([0, 1])).labels
    tensor([0, 1])
    """

    images: Tensor
    labels: Tensor | None


def images_and_labels(batch: Batch, num_classes: int | None) -> tuple[Tensor, Tensor | None]:
    """Return a batch's images, and its labels if the GAN has classes.

    >>> import torch
    >>> images_and_labels((torch.zeros(2, 1, 4, 4), torch.tensor([0, 1])), num_classes=None)[1] is None
    True

    Args:
        batch: of a data module.
        num_classes: of a conditional GAN; None without classes.

    Raises:
        BadInput: no labels for a conditional GAN.
    """
    images, *labels = batch if isinstance(batch, (tuple, list)) else (batch,)
    if num_classes is None:
        return images, None
    if not labels:
        raise BadInput("conditional is asked for, and the data module yields images without labels")
    return images, labels[0]
