"""The 15 corruptions of ImageNet-C and CIFAR-10-C at 5 severities; `CORRUPTIONS` names them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.robustness.corruptions.blur import defocus_blur, glass_blur, motion_blur, zoom_blur
from gan_convnorm.robustness.corruptions.constants import constants_for
from gan_convnorm.robustness.corruptions.digital import contrast, elastic_transform, jpeg_compression, pixelate
from gan_convnorm.robustness.corruptions.noise import gaussian_noise, impulse_noise, shot_noise
from gan_convnorm.robustness.corruptions.weather import brightness, fog, frost, snow

__all__ = ["CORRUPTIONS", "SEVERITIES", "corrupt"]

SEVERITIES = (1, 2, 3, 4, 5)
CORRUPTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        *(gaussian_noise, shot_noise, impulse_noise),
        *(defocus_blur, glass_blur, motion_blur, zoom_blur),
        *(snow, frost, fog, brightness),
        *(contrast, elastic_transform, pixelate, jpeg_compression),
    )
}


def corrupt(images: Tensor, name: str, severity: int, *, seed: int = 0, first: int = 0) -> Tensor:
    """Return corrupted copies of images (Hendrycks and Dietterich, ICLR 2019, arXiv:1903.12261, section 3.1).

    Image i depends on the seed and on `first` + i alone, not on the batch that it is in. Values are rounded to bytes,
    where the authors cut them off.

    >>> corrupt(torch.full((1, 1, 8, 8), 200, dtype=torch.uint8), "brightness", 5).unique().tolist()
    [255]

    Args:
        images: uint8, shape (N, C, side, side), one or three channels.
        name: a key of `CORRUPTIONS`.
        severity: from 1 to 5.
        seed: seeds the random numbers.
        first: number of the first image.

    Returns:
        uint8, the same shape.

    Raises:
        BadInput: an unknown name or severity, a number below 0, or images of another type or shape.
    """
    if name not in CORRUPTIONS:
        raise BadInput(f"corruption {name!r} is not known; choose of: {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise BadInput(f"severity is {severity!r}; expected a whole number from 1 to 5")
    for what, number in (("seed", seed), ("first", first)):
        if number < 0:
            raise BadInput(f"corrupt: {what} is {number}; expected 0 or more")
    side = images.shape[-1]
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] not in (1, 3) or images.shape[2] != side:
        raise BadInput(
            f"corrupt: found {images.dtype} images of shape {tuple(images.shape)}; expected square uint8 images of "
            "shape (N, 1 or 3, side, side)"
        )
    constants = constants_for(name, severity, side)
    changed = torch.empty(images.shape, dtype=torch.uint8)  # the usual strides, whatever those of the images
    for number, image in enumerate(images.permute(0, 2, 3, 1).cpu().numpy()):
        rng = np.random.default_rng([zlib.crc32(name.encode()), severity, seed, first + number])
        result = CORRUPTIONS[name](image / 255.0, constants, rng)
        pixels = (result.clip(0, 1) * 255).round().astype(np.uint8)
        changed[number] = torch.from_numpy(pixels.transpose(2, 0, 1))
    return changed
