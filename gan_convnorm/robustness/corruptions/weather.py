"""Weather: each function takes an image of (H, W, C) in [0, 1], one row of constants and its random numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gan_convnorm.robustness.corruptions.blur import clipped_zoom, line_blur

__all__ = ["brightness", "fog", "frost", "grey", "plasma_fractal", "snow"]

Image = NDArray[np.float64]
#: red, green and blue of ice
ICE = (0.85, 0.93, 1.0)


def snow(image: Image, constants: tuple[float, ...], rng: np.random.Generator) -> Image:
    """Return the image, whitened, plus a layer of blown flakes and the same layer turned by 180 degrees.

    >>> image = np.full((16, 16, 1), 0.5)
    >>> bool((snow(image, (0.1, 0.2, 1, 0.6, 8, 3, 0.95), np.random.default_rng(0)) > image).all())
    True
    """
    mean, deviation, zoom, threshold, radius, motion, weight = constants
    flakes = clipped_zoom(rng.normal(mean, deviation, image.shape[:2])[..., None], zoom)
    flakes = np.where(flakes < threshold, 0, flakes.clip(0, 1))
    flakes = line_blur(flakes, radius, motion, angle=rng.uniform(-135, -45))
    white = np.maximum(image, 1.5 * grey(image) + 0.5)
    return weight * image + (1 - weight) * white + flakes + np.rot90(flakes, 2)


def frost(image: Image, constants: tuple[float, float], rng: np.random.Generator) -> Image:
    """Lay frost over the image, a x + b frost.

    Published, the frost is a crop of one of five photographs, which are not part of this package. In their place
    stands drawn ice: needles in three directions where a fractal says that the pane is cold. So this is the one
    corruption whose errors are not comparable with published ones; for those give the folder of CIFAR-10-C.

    >>> frosted = frost(np.zeros((16, 16, 3)), (1, 0.4), np.random.default_rng(0))
    >>> bool(0 <= frosted.min() < frosted.max() <= 0.4)
    True

    Returns:
        The same shape.
    """
    kept, added = constants
    side = image.shape[0]
    needles = np.zeros((side, side, 1))
    for angle in rng.uniform(0, 360, size=3):
        needles += line_blur(rng.random((side, side, 1)) ** 4, side / 8, side / 8, angle)
    needles -= needles.min()
    needles /= needles.max() or 1  # 0 for an image of one pixel
    cold = plasma_fractal(side, 2.5, rng)[..., None]
    ice = np.minimum(0.6 * cold + 0.6 * needles, 1.0)
    return kept * image + added * (ice * np.array(ICE) if image.shape[2] == 3 else ice)


def fog(image: Image, constants: tuple[float, float], rng: np.random.Generator) -> Image:
    """Return (x + strength * fractal) * max x / (max x + strength).

    >>> foggy = fog(np.ones((8, 8, 1)), (1.5, 1.75), np.random.default_rng(0))
    >>> float(foggy.min()), float(foggy.max())
    (0.4, 1.0)
    """
    strength, decay = constants
    brightest = image.max()
    misty = image + strength * plasma_fractal(image.shape[0], decay, rng)[..., None]
    darkened: Image = misty * brightest / (brightest + strength)
    return darkened


def brightness(image: Image, amount: float, rng: np.random.Generator) -> Image:
    """Return the image with each pixel scaled to a brightest channel of max + amount, at the same hue and saturation.

    >>> brightness(np.full((1, 1, 1), 0.5), 0.25, np.random.default_rng(0)).ravel()
    array([0.75])
    """
    value = image.max(axis=2, keepdims=True)
    brighter = np.minimum(value + amount, 1.0)
    # A black pixel has no hue and becomes grey.
    result: Image = np.where(value > 0, image / np.where(value > 0, value, 1.0), 1.0) * brighter
    return result


def grey(image: Image) -> Image:
    """Return the luma of red, green and blue (ITU-R BT.601), shape (H, W, 1); a grey image is its own.

    >>> grey(np.ones((1, 1, 3))).round(3).ravel()
    array([1.])
    """
    return image @ np.array([[0.299], [0.587], [0.114]]) if image.shape[2] == 3 else image


def plasma_fractal(side: int, decay: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a diamond-square fractal on a torus, cropped to (side, side), from 0 to 1 over the whole torus.

    Every point is the mean of its four neighbours of the level above, plus uniform noise whose range starts at 100^2
    and is divided by decay^2 at every level.

    >>> field = plasma_fractal(8, 2.0, np.random.default_rng(0))
    >>> field.shape, float(field.min()), float(field.max())
    ((8, 8), 0.0, 1.0)

    Returns:
        Shape (side, side).
    """
    size = 1 << (side - 1).bit_length()
    field = np.zeros((size, size))
    step, amplitude = size, 100.0
    while step >= 2:
        half = step // 2

        def between(first: Image, second: Image, third: Image, fourth: Image, amplitude: float = amplitude) -> Image:
            noise = rng.uniform(-amplitude, amplitude, first.shape)
            return (first + second + third + fourth) / 4 + amplitude * noise

        corners = field[::step, ::step]
        below, right = np.roll(corners, -1, 0), np.roll(corners, -1, 1)
        field[half::step, half::step] = between(corners, below, right, np.roll(below, -1, 1))
        centres = field[half::step, half::step]
        field[::step, half::step] = between(corners, right, centres, np.roll(centres, 1, 0))
        field[half::step, ::step] = between(corners, below, centres, np.roll(centres, 1, 1))
        step, amplitude = half, amplitude / decay
    field -= field.min()
    return (field / (field.max() or 1))[:side, :side]  # 0 for an image of one pixel
