"""The interface of a set of images, and images in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput

__all__ = ["Images", "TensorImages", "check_batch"]


class Images(Protocol):
    """A numbered set of images.

    >>> images: Images = TensorImages(torch.zeros(5, 3, 8, 8, dtype=torch.uint8), "cats")
    >>> len(images), images.name, images.block
    (5, 'cats', 0)

    Attributes:
        name: what they are, such as "EMA samples".
        block: processes' shares begin at multiples of it; 0 if they may begin anywhere.
    """

    name: str
    block: int

    def __len__(self) -> int: ...

    def batches(self, start: int, stop: int, batch_size: int) -> Iterator[Tensor]:
        """Yield images start to stop, uint8, shape (up to batch_size, C, H, W)."""

    def digest(self) -> str | None:
        """Return a hash of the content, or None if only generating the images would tell."""


class TensorImages:
    """Images in memory.

    >>> images = TensorImages(torch.zeros(5, 3, 8, 8, dtype=torch.uint8))
    >>> [len(batch) for batch in images.batches(0, 5, batch_size=2)]
    [2, 2, 1]

    Args:
        images: uint8, shape (N, C, H, W).
        name: what they are.

    Raises:
        BadInput: another type or shape.
    """

    block = 0

    def __init__(self, images: Tensor, name: str = "images") -> None:
        check_batch(images, name)
        self.images = images
        self.name = name

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, start: int, stop: int, batch_size: int) -> Iterator[Tensor]:
        """Yield images start to stop in batches."""
        for part in torch.split(self.images[start:stop], batch_size) if stop > start else ():
            yield part.contiguous()  # other strides may round differently

    def digest(self) -> str:
        """Return a hash of shape and pixels."""
        content = hashlib.sha256(repr(tuple(self.images.shape)).encode())
        for part in torch.split(self.images, 4096):
            content.update(part.cpu().contiguous().numpy().data)
        return content.hexdigest()


def check_batch(images: object, name: str) -> None:
    """Refuse anything but uint8 images (N, C, H, W) with 1, 3 or 4 channels.

    >>> check_batch(torch.zeros(2, 8, 8), "the fakes")
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: the fakes are float32 of shape (2, 8, 8) from 0 to 0; expected uint8 from 0 to ...

    Raises:
        BadInput: says what was found.
    """
    if not isinstance(images, Tensor):
        raise BadInput(f"{name} are a {type(images).__name__}; expected a uint8 tensor of shape (N, C, H, W)")
    shape = tuple(images.shape)
    if images.dtype != torch.uint8:
        extent = f" from {images.min().item():.3g} to {images.max().item():.3g}" if images.numel() else ""
        raise BadInput(
            f"{name} are {str(images.dtype).removeprefix('torch.')} of shape {shape}{extent}; expected uint8 from 0 to "
            "255 of (N, C, H, W): scale, round and clamp them"
        )
    if images.dim() != 4 or shape[1] not in (1, 3, 4):
        raise BadInput(f"{name} have the shape {shape}; expected (N, C, H, W) with 1, 3 or 4 channels")
