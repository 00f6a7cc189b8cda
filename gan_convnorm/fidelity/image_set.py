"""The interface of a set of images, and images in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput

__all__ = ["Images", "TensorImages", "check_batch"]


class Images(Protocol):
    """A numbered set of images.

    Attributes:
        name: what they are, such as "EMA samples".
        block: shares of the work begin at multiples of it; 0 where any beginning will do.
    """

    name: str
    block: int

    def __len__(self) -> int: ...

    def batches(self, start: int, stop: int, batch_size: int) -> Iterator[Tensor]:
        """Images start to stop, uint8, shape (up to batch_size, C, H, W)."""

    def digest(self) -> str | None:
        """A hash of the content, or None where it cannot be told without making the images."""


class TensorImages:
    """Images in memory.

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
        for part in self.images[start:stop].split(batch_size) if stop > start else ():
            yield part.contiguous()  # other strides may round differently

    def digest(self) -> str:
        content = hashlib.sha256(repr(tuple(self.images.shape)).encode())
        for part in self.images.split(4096):
            content.update(part.cpu().contiguous().numpy())
        return content.hexdigest()


def check_batch(images: Any, name: str) -> None:
    if not isinstance(images, Tensor):
        raise BadInput(f"{name} are a {type(images).__name__}; expected a uint8 tensor of shape (N, C, H, W)")
    shape = tuple(images.shape)
    if images.dtype != torch.uint8:
        extent = f" from {images.min().item():.3g} to {images.max().item():.3g}" if images.numel() else ""
        raise BadInput(
            f"{name} are {str(images.dtype).removeprefix('torch.')} of shape {shape}{extent}; expected uint8 from 0 to "
            "255 of (N, C, H, W): scale, round and clamp them"
        )
    if images.dim() != 4 or shape[1] not in (1, 3):
        raise BadInput(f"{name} have the shape {shape}; expected (N, C, H, W) with 1 or 3 channels")
