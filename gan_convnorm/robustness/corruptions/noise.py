"""Noise: each function takes an image of (H, W, C) in [0, 1], one row of constants and its random numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["gaussian_noise", "impulse_noise", "shot_noise"]

Image = NDArray[np.float64]


def gaussian_noise(image: Image, deviation: float, rng: np.random.Generator) -> Image:
    """Return the image plus N(0, deviation^2) at every value.

    >>> gaussian_noise(np.zeros((1, 2, 1)), 0.0, np.random.default_rng(0)).ravel()
    array([0., 0.])
    """
    return image + rng.normal(scale=deviation, size=image.shape)


def shot_noise(image: Image, photons: float, rng: np.random.Generator) -> Image:
    """Return Poisson(photons x) / photons for every value x: a count of photons, with a mean of `photons` at white.

    >>> shot_noise(np.zeros((1, 2, 1)), 10, np.random.default_rng(0)).ravel()
    array([0., 0.])
    """
    return rng.poisson(image * photons) / photons


def impulse_noise(image: Image, amount: float, rng: np.random.Generator) -> Image:
    """Return the image with a share of its values black or white, each with probability one half (salt and pepper).

    >>> noisy = impulse_noise(np.full((2, 2, 1), 0.5), 1.0, np.random.default_rng(0))
    >>> bool(np.isin(noisy, (0.0, 1.0)).all())
    True
    """
    draw = rng.random(image.shape)
    return np.where(draw < amount / 2, 0.0, np.where(draw < amount, 1.0, image))
