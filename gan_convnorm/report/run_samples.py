"""The pictures of a run on its page: real images, samples, classes, and the training as an animation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from gan_convnorm.report.animation import animate
from gan_convnorm.report.blocks import Block, Heading, Paragraph, Sample, Samples
from gan_convnorm.report.run_files import sample_grids

__all__ = ["CLASSES", "REAL", "sample_blocks"]

SAMPLES = 12  # pictures at most, spread over the run: a page of a long run stays some megabytes
FRAMES = 24  # of the animation, at most
PNG = b"\x89PNG\r\n\x1a\n"
#: files in a run's samples/ beside the grids of its steps
REAL, CLASSES = "real.png", "classes.png"
ROWS = "each row is one class, whose number stands at its left; the images of a column share their latents"

T = TypeVar("T")


def sample_blocks(folder: Path) -> list[Block]:
    """Return real images beside the last samples and the animation, rows by class, and samples over the run.

    Args:
        folder: samples/ of a run; links, and files that are no pictures, are passed over.

    >>> sample_blocks(Path("no such folder"))
    []
    """
    # Others may lie there, and a link may lead out of the folder.
    files = {step: path for step, path in sample_grids(folder).items() if _is_picture(path)}
    if not files:
        return []
    grids = list(files.items())
    blocks: list[Block] = []
    first: list[Sample] = []
    if _is_picture(folder / REAL):
        first.append(Sample((folder / REAL).read_bytes(), "real images", "real images"))
    first.append(_sample(*grids[-1], "samples at "))
    moving = animate([path.read_bytes() for _, path in _spread(grids, FRAMES)])
    if moving:
        title = "the training as an animation"
        first.append(Sample(moving, title, f"{title}, from the same latents"))
    blocks += [Samples(first), Paragraph("Samples are the averaged generator's (EMA). A click enlarges.", note=True)]
    if _is_picture(folder / CLASSES):
        data = (folder / CLASSES).read_bytes()
        blocks += [
            Heading("Classes", 3),
            Samples([Sample(data, "samples by class", ROWS)]),
        ]
    over = [_sample(*grid) for grid in _spread(grids, SAMPLES)]
    return [*blocks, Heading("Over the training", 3), Samples(over)]


def _sample(step: int, path: Path, before: str = "") -> Sample:
    return Sample(path.read_bytes(), f"samples at G step {step}", f"{before}G step {step}")


def _spread(items: Sequence[T], most: int) -> list[T]:
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def _is_picture(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(PNG)) == PNG
