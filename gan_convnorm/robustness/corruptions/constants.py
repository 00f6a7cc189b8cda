"""The severities of the 15 corruptions, one row each: facts of the published benchmarks.

Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR 2019,
arXiv:1903.12261; the numbers are those of the authors' scripts for CIFAR-10-C (32 pixels), Tiny-ImageNet-C (64) and
ImageNet-C (224), https://github.com/hendrycks/robustness. Lengths are in pixels, grey levels in [0, 1].
"""

from __future__ import annotations

from typing import Any

__all__ = ["CIFAR", "IMAGENET", "TINY_IMAGENET", "constants_for"]

Table = dict[str, tuple[Any, ...]]


def _elastic(side: int, rows: list[tuple[float, float, float]]) -> tuple[tuple[float, float, float], ...]:
    return tuple((side * strength, side * smoothness, side * shift) for strength, smoothness, shift in rows)


CIFAR: Table = {
    # standard deviation
    "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),
    # photons at white
    "shot_noise": (500, 250, 100, 75, 50),
    # share of the values that become black or white
    "impulse_noise": (0.01, 0.02, 0.03, 0.05, 0.07),
    # radius of the disk, standard deviation of its anti-aliasing
    "defocus_blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    # standard deviation of both blurs, largest shift, passes
    "glass_blur": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    # radius, standard deviation
    "motion_blur": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    # first zoom, end and step as of np.arange, whose rounding decides how many there are: 7, 12, 16, 21 and 26
    "zoom_blur": ((1, 1.06, 0.01), (1, 1.11, 0.01), (1, 1.16, 0.01), (1, 1.21, 0.01), (1, 1.26, 0.01)),
    # mean, standard deviation, zoom and threshold of the flakes, radius and deviation of their motion, image's weight
    "snow": (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    # weights of the image and the frost
    "frost": ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    # strength, decay of the fractal
    "fog": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    # added to the value of hue, saturation, value
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
    # factor on the distance from the mean
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
    # strength and smoothness of the displacement, largest shift of the affine map's corners
    "elastic_transform": _elastic(
        32, [(0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)]
    ),
    # factor on the side
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),
    # JPEG's quality
    "jpeg_compression": (80, 65, 58, 50, 40),
}

TINY_IMAGENET: Table = {
    "gaussian_noise": (0.04, 0.08, 0.12, 0.15, 0.18),
    "shot_noise": (250, 100, 50, 30, 15),
    "impulse_noise": (0.01, 0.02, 0.05, 0.08, 0.14),
    "defocus_blur": ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
    "glass_blur": ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
    "motion_blur": ((10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)),
    "zoom_blur": ((1, 1.06, 0.01), (1, 1.11, 0.01), (1, 1.16, 0.01), (1, 1.21, 0.01), (1, 1.26, 0.01)),
    "snow": (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.8),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.8),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.65),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
    ),
    "frost": ((1, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)),
    "fog": ((0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)),
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
    "elastic_transform": _elastic(
        64, [(0, 0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02)]
    ),
    "pixelate": (0.9, 0.8, 0.7, 0.6, 0.5),
    "jpeg_compression": (65, 58, 50, 40, 25),
}

IMAGENET: Table = {
    "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),
    "shot_noise": (60, 25, 12, 5, 3),
    "impulse_noise": (0.03, 0.06, 0.09, 0.17, 0.27),
    "defocus_blur": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    "glass_blur": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    "motion_blur": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    "zoom_blur": ((1, 1.11, 0.01), (1, 1.16, 0.01), (1, 1.21, 0.02), (1, 1.26, 0.02), (1, 1.31, 0.03)),
    "snow": (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
    "frost": ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
    "fog": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
    # The authors' side is 244.
    "elastic_transform": _elastic(
        244, [(2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)]
    ),
    "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),
    "jpeg_compression": (25, 18, 15, 10, 7),
}


def constants_for(name: str, severity: int, side: int) -> float | tuple[float, ...]:
    """Return the constants of a corruption for square images of a side.

    The table is CIFAR-10-C's up to 48 pixels, Tiny-ImageNet-C's up to 128, ImageNet-C's above. Lengths in pixels are
    as published, so on a digit of 16 pixels a blur is twice as wide in relation to the image as on CIFAR's; only
    the elastic transform, published in units of the side, follows the side.

    >>> constants_for("jpeg_compression", severity=5, side=224)
    7

    Args:
        name: the corruption.
        severity: from 1 to 5.
        side: in pixels.

    Returns:
        One number or several, as the corruption's function takes them.
    """
    table, published_side = (CIFAR, 32) if side <= 48 else (TINY_IMAGENET, 64) if side <= 128 else (IMAGENET, 224)
    row: Any = table[name][severity - 1]
    constants: float | tuple[float, ...] = row
    if name == "elastic_transform":
        constants = tuple(value * side / published_side for value in row)
    return constants
