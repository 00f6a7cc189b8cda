"""The pictures of a run on its page: real images, samples, classes, and the training as an animation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from gan_convnorm.report.animation import animate
from gan_convnorm.report.blocks import Block, Heading, Paragraph, Sample, Samples

__all__ = ["CLASSES", "REAL", "sample_blocks"]

SAMPLES = 12  # pictures at most, spread over the run: a page of a long run stays some megabytes
FRAMES = 24  # of the animation, at most
STEP = re.compile(r"step-\d{6,}\.png")
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
    files = sorted(path for path in folder.glob("step-*.png") if STEP.fullmatch(path.name) and _is_picture(path))
    if not files:
        return []
    blocks: list[Block] = []
    first: list[Sample] = []
    if _is_picture(folder / REAL):
        first.append(Sample((folder / REAL).read_bytes(), "real images", "real images"))
    first.append(_sample(files[-1], "samples at "))
    moving = animate([path.read_bytes() for path in _spread(files, FRAMES)])
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
    over = [_sample(path) for path in _spread(files, SAMPLES)]
    return [*blocks, Heading("Over the training", 3), Samples(over)]


def _sample(path: Path, before: str = "") -> Sample:
    step = f"G step {int(path.stem.removeprefix('step-'))}"
    return Sample(path.read_bytes(), f"samples at {step}", before + step)


def _spread(items: Sequence[T], most: int) -> list[T]:
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def _is_picture(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(PNG)) == PNG
