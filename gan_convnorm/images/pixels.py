"""Conversion between bytes and the networks' range [-1, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.random_streams import SharedRandom

__all__ = ["bytes_to_images", "images_to_bytes"]


def bytes_to_images(images: Tensor, random: SharedRandom) -> Tensor:
    """Dequantize bytes as sngan_projection does: x / 128 - 1 + U(0, 1 / 128).

    >>> from gan_convnorm.random_streams import random_for
    >>> images = bytes_to_images(torch.tensor([[[[0, 255]]]], dtype=torch.uint8), SharedRandom(random_for("data", 0)))
    >>> images.shape, bool((images >= -1).all() and (images < 1).all())
    (torch.Size([1, 1, 1, 2]), True)

    Args:
        images: uint8, shape (B, C, H, W).
        random: source of the uniform noise.

    Returns:
        float32 in [-1, 1), the same shape and device.

    Raises:
        BadInput: images of another type.
    """
    if images.dtype != torch.uint8:
        raise BadInput(f"the data module yields {images.dtype} images; expected uint8 images of shape (B, C, H, W)")
    return (images + random.uniform(*images.shape)) / 128 - 1


def images_to_bytes(images: Tensor) -> Tensor:
    """Return the nearest bytes under `bytes_to_images`: round(128 (x + 1) - 1/2).

    >>> images_to_bytes(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([  0, 128, 255], dtype=torch.uint8)

    Args:
        images: floating point in [-1, 1], any shape.

    Returns:
        uint8, the same shape.
    """
    return (images.float() * 128 + 127.5).round().clamp(0, 255).to(torch.uint8)
