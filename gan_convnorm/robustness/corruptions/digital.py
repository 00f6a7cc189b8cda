"""Digital corruptions: each function takes an image of (H, W, C) in [0, 1], its constants and its random numbers."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["contrast", "elastic_transform", "jpeg_compression", "pixelate"]

Image = NDArray[np.float64]


def contrast(image: Image, factor: float, rng: np.random.Generator) -> Image:
    """Return the image with a smaller distance from each channel's mean.

    >>> contrast(np.array([[[0.0], [1.0]]]), 0.5, np.random.default_rng(0)).ravel()
    array([0.25, 0.75])
    """
    mean = image.mean(axis=(0, 1), keepdims=True)
    changed: Image = (image - mean) * factor + mean
    return changed


def elastic_transform(image: Image, constants: tuple[float, float, float], rng: np.random.Generator) -> Image:
    """Return the image with moved pixels: by a random affine map, then by smoothed noise.

    The affine map shifts three corners of a square.

    >>> elastic_transform(np.ones((8, 8, 1)), (1.0, 2.0, 1.0), np.random.default_rng(0)).shape
    (8, 8, 1)
    """
    strength, smoothness, reach = constants
    height, width = image.shape[:2]
    middle, half = np.array([height, width]) // 2, min(height, width) // 3
    corners = middle + half * np.array([[1, 1], [-1, 1], [-1, -1]])
    moved = corners + rng.uniform(-reach, reach, corners.shape)
    # Where each pixel of the result comes from: the inverse of the map corners -> moved.
    inverse = np.linalg.solve(np.column_stack([moved, np.ones(3)]), corners)
    grid = np.mgrid[:height, :width].astype(np.float64)
    affine = np.tensordot(inverse[:2].T, grid, axes=1) + inverse[2][:, None, None]
    image = _sample(image, affine, "mirror")
    noise = rng.uniform(-1, 1, (2, height, width))
    shift = strength * ndimage.gaussian_filter(noise, (0, smoothness, smoothness), mode="reflect", truncate=3)
    return _sample(image, grid + shift, "reflect")


def pixelate(image: Image, factor: float, rng: np.random.Generator) -> Image:
    """Return the image reduced by box averages and enlarged again.

    >>> pixelate(np.ones((4, 4, 1)), 0.5, np.random.default_rng(0)).shape
    (4, 4, 1)
    """
    height, width = image.shape[:2]
    box = PIL.Image.Resampling.BOX
    small = _to_pil(image).resize((max(1, int(width * factor)), max(1, int(height * factor))), box)
    return _from_pil(small.resize((width, height), box))


def jpeg_compression(image: Image, quality: int, rng: np.random.Generator) -> Image:
    """Return the image compressed to a JPEG of a quality, and decoded.

    >>> jpeg_compression(np.ones((8, 8, 1)), 10, np.random.default_rng(0)).shape
    (8, 8, 1)
    """
    file = BytesIO()
    _to_pil(image).save(file, "JPEG", quality=quality)
    return _from_pil(PIL.Image.open(file))


def _sample(image: Image, places: NDArray[np.float64], border: str) -> Image:
    """Return the image at places (2, H, W), by linear interpolation."""
    channels = [ndimage.map_coordinates(channel, places, order=1, mode=border) for channel in np.moveaxis(image, 2, 0)]
    return np.stack(channels, axis=2)


def _to_pil(image: Image) -> PIL.Image.Image:
    pixels = (image * 255).round().astype(np.uint8)
    return PIL.Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])


def _from_pil(image: PIL.Image.Image) -> Image:
    pixels = np.asarray(image, dtype=np.float64) / 255
    return pixels if pixels.ndim == 3 else pixels[..., None]
