"""The reference of scores: real images, or statistics of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gan_convnorm.fidelity.image_set import Images
from gan_convnorm.fidelity.images import as_images
from gan_convnorm.fidelity.reference_statistics import ReferenceStatistics
from gan_convnorm.fidelity.statistics_file import is_statistics_file

__all__ = ["as_reference"]


def as_reference(source: object, **options: Any) -> Images | ReferenceStatistics:  # noqa: ANN401
    """Return real images, or statistics of them.

    >>> import torch
    >>> len(as_reference(torch.zeros(5, 3, 8, 8, dtype=torch.uint8)))
    5

    Args:
        source: `ReferenceStatistics`, an .npz file of them, or images as `as_images` takes them.
        options: of `as_images`.

    Returns:
        The reference.
    """
    if isinstance(source, ReferenceStatistics):
        return source
    if isinstance(source, (str, os.PathLike)) and is_statistics_file(Path(source)):
        return ReferenceStatistics.read(source)
    return as_images(source, **options)
