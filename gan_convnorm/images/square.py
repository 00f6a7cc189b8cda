"""Square images from images of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

__all__ = ["MOST_PIXELS", "to_square"]

#: longest side of square images; a million pixels a side take 3 TB
MOST_PIXELS = 8192

Picture = TypeVar("Picture", "Image", "Tensor")


def to_square(image: Picture, side: int) -> Picture:
    """Resize the shorter side to `side` pixels (bilinear, antialiased) and crop the centre.

    >>> import torch
    >>> to_square(torch.zeros(3, 8, 12), 4).shape
    torch.Size([3, 4, 4])

    Args:
        image: a PIL image, or a tensor (..., H, W).
        side: in pixels.

    Returns:
        An image of the same kind.
    """
    from torchvision.transforms import functional as tv

    cropped: Picture = tv.center_crop(tv.resize(image, side), side)
    return cropped
