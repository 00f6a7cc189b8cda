"""Blur: each function takes an image of (H, W, C) in [0, 1], one row of constants and its random numbers."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["clipped_zoom", "defocus_blur", "glass_blur", "line_blur", "motion_blur", "zoom_blur"]

Image = NDArray[np.float64]


def defocus_blur(image: Image, constants: tuple[float, float], rng: np.random.Generator) -> Image:
    """Return the convolution with a disk of a radius, itself smoothed by a 3x3 (from radius 8 on 5x5) Gaussian.

    >>> dot = np.zeros((5, 5, 1))
    >>> dot[2, 2] = 1
    >>> defocus_blur(dot, (1, 0.1), np.random.default_rng(0))[..., 0].round(3)
    array([[0. , 0. , 0. , 0. , 0. ],
           [0. , 0. , 0.2, 0. , 0. ],
           [0. , 0.2, 0.2, 0.2, 0. ],
           [0. , 0. , 0.2, 0. , 0. ],
           [0. , 0. , 0. , 0. , 0. ]])
    """
    radius, deviation = constants
    half = max(8, math.ceil(radius))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    disk = (x**2 + y**2 <= radius**2).astype(np.float64)
    taps = np.exp(-0.5 * (np.arange(-2, 3) / deviation) ** 2)
    if radius <= 8:
        taps = taps[1:-1]
    smooth = np.outer(taps, taps) / taps.sum() ** 2
    kernel = ndimage.convolve(disk / disk.sum(), smooth, mode="mirror")
    used = np.flatnonzero(kernel.any(axis=0))  # an empty margin would be convolved with at full cost
    kernel = kernel[used[0] : used[-1] + 1, used[0] : used[-1] + 1]
    result: Image = ndimage.convolve(image, kernel[..., None], mode="mirror")
    return result


def glass_blur(image: Image, constants: tuple[float, int, int], rng: np.random.Generator) -> Image:
    """Blur, put a near pixel in every pixel's place, from the last to the first, and blur again.

    The shift is drawn from -d ... d - 1. The paper speaks of an exchange; in the authors' script, and so in their
    files, both sides of it are views of the image, and one pixel is copied over the other. So it is here.

    Without a blur, pixels of the image are shown at other places:

    >>> image = np.arange(64.0).reshape(8, 8, 1)
    >>> shown = glass_blur(image, (0, 1, 1), np.random.default_rng(0))
    >>> bool(np.isin(shown, image).all()), np.array_equal(shown, image)
    (True, False)

    Returns:
        The same shape.
    """
    deviation, reach, passes = constants
    blurred = _gaussian(image, deviation)
    height, width = image.shape[:2]
    rows, columns = range(height - reach, reach, -1), range(width - reach, reach, -1)
    for _ in range(passes):
        shifts = rng.integers(-reach, reach, size=(len(rows), len(columns), 2))
        # Which pixel each place shows; a copy may be copied again, so they run one after the other.
        shown = np.arange(height * width).reshape(height, width).tolist()
        for row, line in zip(rows, shifts.tolist(), strict=True):
            for column, (down, right) in zip(columns, line, strict=True):
                shown[row][column] = shown[row + down][column + right]
        blurred = blurred.reshape(height * width, -1)[np.array(shown)]
    return _gaussian(blurred, deviation)


def motion_blur(image: Image, constants: tuple[float, float], rng: np.random.Generator) -> Image:
    """Return the image, smeared along a line at an angle within 45 degrees of the horizontal.

    >>> dot = np.zeros((9, 9, 1))
    >>> dot[4, 4] = 1
    >>> smeared = motion_blur(dot, (2, 1), np.random.default_rng(0))
    >>> round(float(smeared.sum()), 3), bool(smeared.max() < 1)
    (1.0, True)
    """
    return line_blur(image, *constants, angle=rng.uniform(-45, 45))


def line_blur(image: Image, radius: float, deviation: float, angle: float) -> Image:
    """Apply ImageMagick's motion blur.

    It has 2 radius + 1 taps of half a Gaussian along a line, at whole pixels; edges are repeated.

    >>> dot = np.array([0.0, 0.0, 1.0, 0.0]).reshape(1, 4, 1)
    >>> line_blur(dot, radius=1, deviation=1, angle=0).ravel().round(2)
    array([0.08, 0.35, 0.57, 0.  ])

    Args:
        image: shape (H, W, C).
        radius: in pixels.
        deviation: of the Gaussian, in pixels.
        angle: of the line in degrees.

    Returns:
        The same shape.
    """
    count = 2 * math.ceil(radius) + 1
    weights = np.exp(-0.5 * (np.arange(count) / deviation) ** 2)
    weights /= weights.sum()
    weights = weights[weights > 1e-6]  # less moves no byte
    count = len(weights)
    direction = math.radians(angle)
    # ImageMagick's line is (cos, sin) of the angle, rounded half down.
    right = np.ceil(np.arange(count) * math.cos(direction) - 0.5).astype(int)
    down = np.ceil(np.arange(count) * math.sin(direction) - 0.5).astype(int)
    height, width = image.shape[:2]
    result = np.zeros_like(image)
    for weight, dy, dx in zip(weights, down, right, strict=True):
        rows = np.clip(np.arange(height) + dy, 0, height - 1)
        columns = np.clip(np.arange(width) + dx, 0, width - 1)
        result += weight * image[rows[:, None], columns]
    return result


def zoom_blur(image: Image, constants: tuple[float, float, float], rng: np.random.Generator) -> Image:
    """Return the mean of the image and its zooms by np.arange(*constants).

    The authors' script has this very call. With a step of 0.01 its last value may be the end itself, and its values
    are not those of 1 + 0.01 i: 1.2500000000000002 enlarges 26 pixels to 33, and 1.25 to 32.

    >>> ramp = np.tile(np.arange(4.0), (4, 1))[..., None]
    >>> zoom_blur(ramp, (1, 2.5, 1), np.random.default_rng(0))[0].ravel().round(2)  # zooms by 1 and 2
    array([0.33, 1.11, 1.89, 2.67])
    """
    factors = np.arange(*constants).tolist()
    return (image + sum(clipped_zoom(image, factor) for factor in factors)) / (len(factors) + 1)


def clipped_zoom(image: Image, factor: float) -> Image:
    """Return the centre, enlarged to the image's size by linear interpolation.

    >>> ramp = np.tile(np.arange(4.0), (4, 1))[..., None]
    >>> clipped_zoom(ramp, 2)[0].ravel().round(2)
    array([1.  , 1.33, 1.67, 2.  ])
    """
    matrix = _zoom_matrix(image.shape[0], factor)
    zoomed: Image = np.matmul(matrix, np.tensordot(matrix, image, 1).transpose(2, 1, 0)).transpose(2, 1, 0)
    return zoomed


@lru_cache(maxsize=256)
def _zoom_matrix(side: int, factor: float) -> NDArray[np.float64]:
    """Return the interpolation of `clipped_zoom` as a matrix from an image's rows to the result's.

    A centre of ceil(side / factor) pixels becomes round(factor * that), first pixel on first and last on last, of which
    the middle is kept.

    Returns:
        Shape (side, side).
    """
    cut = math.ceil(side / factor)
    top, zoomed = (side - cut) // 2, round(cut * factor)
    trim = (zoomed - side) // 2
    places = np.arange(trim, trim + side) * ((cut - 1) / max(zoomed - 1, 1))
    below = np.minimum(places.astype(int), cut - 1)
    above, share = np.minimum(below + 1, cut - 1), places - below
    matrix = np.zeros((side, side))
    matrix[np.arange(side), top + below] += 1 - share
    matrix[np.arange(side), top + above] += share
    return matrix


def _gaussian(image: Image, deviation: float) -> Image:
    blurred: Image = ndimage.gaussian_filter(image, (deviation, deviation, 0), mode="nearest")
    return blurred
