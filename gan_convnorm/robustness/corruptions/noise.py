"""Noise: each function takes an image of (H, W, C) in [0, 1], one row of constants and its random numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["gaussian_noise", "impulse_noise", "shot_noise"]

Image = NDArray[np.float64]


def gaussian_noise(image: Image, deviation: float, rng: np.random.Generator) -> Image:
    """Add N(0, deviation^2) to every value."""
    return image + rng.normal(scale=deviation, size=image.shape)


def shot_noise(image: Image, photons: float, rng: np.random.Generator) -> Image:
    """Poisson(photons x) / photons: the count of photons, `photons` of them at white."""
    return rng.poisson(image * photons) / photons


def impulse_noise(image: Image, amount: float, rng: np.random.Generator) -> Image:
    """Salt and pepper: a share of the values becomes black or white, each with probability one half."""
    draw = rng.random(image.shape)
    return np.where(draw < amount / 2, 0.0, np.where(draw < amount, 1.0, image))
