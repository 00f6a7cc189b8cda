"""Pictures of a trained generator alone: a row for each class, and ways from one latent to another."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gan_convnorm.gan.sampling import Sampler
from gan_convnorm.images.grid import picture_grid, save_grid
from gan_convnorm.inference.animation import write_animation
from gan_convnorm.inference.interpolation import interpolate

__all__ = ["write_classes", "write_interpolation"]

COLUMNS = 10  # images of a class, and steps of an interpolation
CLASSES = 50  # rows of one picture
FRAMES = 40  # of an animation, there and back


def write_classes(
    module: Sampler, classes: list[int], folder: Path, *, ema: bool, truncation: float | None
) -> list[Path]:
    """Write classes.png, and classes-50.png and so on, with one row for each class and one column for each latent.

    >>> import tempfile
    >>> from gan_convnorm.gan import GAN
    >>> from gan_convnorm.gan.architecture import Architecture
    >>> gan = GAN(num_classes=10, architecture=Architecture(width=0.05, conditional=True))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_classes(gan, [3, 8], Path(folder), ema=True, truncation=None)]
    ['classes.png']

    Args:
        module: a conditional generator; any, where there are no classes.
        classes: from 0.
        folder: where to write.
        ema: from the averaged weights, else from the current ones.
        truncation: as in `Sampler.sample`.

    Returns:
        The pictures; none without classes.
    """
    paths = []
    for start in range(0, len(classes), CLASSES):
        part = classes[start : start + CLASSES]
        rows = [module.sample(COLUMNS, labels=label, ema=ema, truncation=truncation) for label in part]
        paths.append(folder / ("classes.png" if not start else f"classes-{start}.png"))
        save_grid(torch.cat(rows), paths[-1], COLUMNS)
    return paths


def write_interpolation(
    module: Sampler,
    ways: int,
    animation: str,
    folder: Path,
    *,
    labels: list[int] | Tensor | None,
    ema: bool,
    truncation: float | None,
) -> list[Path]:
    """Write interpolation.png, one way a row, and an animation of it.

    >>> import tempfile
    >>> from gan_convnorm.gan.loading import load
    >>> generator, usual = load("checkpoints/digits_convnorm"), dict(labels=None, ema=True, truncation=None)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_interpolation(generator, 2, "gif", Path(folder), **usual)]
    ['interpolation.png', 'interpolation.gif']

    Args:
        module: a trained generator.
        ways: number of ways.
        animation: gif, mp4 or none.
        folder: where to write.
        labels: classes of the rows in turn, or a vector of all; None for an unconditional generator.
        ema: from the averaged weights, else from the current ones.
        truncation: as in `Sampler.sample`.

    Returns:
        The files.
    """
    paths = [folder / "interpolation.png"]
    row = interpolate(module, ways, COLUMNS, labels=labels, ema=ema, truncation=truncation)
    save_grid(row.flatten(0, 1), paths[0], COLUMNS)
    if animation != "none":
        there = interpolate(module, ways, FRAMES // 2 + 1, labels=labels, ema=ema, truncation=truncation)
        frames = [picture_grid(there[:, step], min(ways, COLUMNS)) for step in range(FRAMES // 2 + 1)]
        paths.append(folder / f"interpolation.{animation}")
        write_animation([*frames, *frames[-2:0:-1]], paths[1])
    return paths
