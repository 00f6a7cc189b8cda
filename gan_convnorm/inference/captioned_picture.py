"""A picture of blocks of images, with a heading above each block and a caption below each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.images.grid import over_checkerboard

__all__ = ["Block", "save_captioned"]

SIDE = 64  # pixels to which small images are enlarged
GAP = 4  # between images
BLOCK_GAP = 20
TEXT = 12  # size of the letters
LINE = 16  # height of a line of text


@dataclass(frozen=True)
class Block:
    """Images in rows under one heading.

    >>> import torch
    >>> block = Block("samples", torch.zeros(2, 1, 3, 8, 8, dtype=torch.uint8), [["0"], ["1"]])
    >>> block.captions[1][0]  # of the image in row 1, column 0
    '1'

    Attributes:
        heading: in one line.
        images: uint8 (rows, columns, C, H, W), grey, RGB or RGBA.
        captions: of each image, by row and column.
    """

    heading: str
    images: Tensor
    captions: Sequence[Sequence[str]]


def save_captioned(blocks: Sequence[Block], path: Path) -> None:
    """Write blocks beside each other, as many rows in each.

    >>> import tempfile, torch
    >>> block = Block("samples", torch.zeros(2, 1, 3, 8, 8, dtype=torch.uint8), [["0"], ["1"]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_captioned([block, block], Path(folder, "a.png"))
    ...     Image.open(Path(folder, "a.png")).height
    188

    Args:
        blocks: images of one size.
        path: a file whose ending is that of a picture format.
    """
    font = ImageFont.load_default(TEXT)
    height, width = blocks[0].images.shape[-2:]
    factor = max(1, SIDE // width)
    step_x, step_y = width * factor + GAP, height * factor + LINE + GAP
    widths = [max(block.images.shape[1] * step_x, int(font.getlength(block.heading)) + GAP) for block in blocks]
    rows = blocks[0].images.shape[0]
    size = (GAP + sum(widths) + BLOCK_GAP * (len(blocks) - 1), GAP + LINE + GAP + rows * step_y - GAP)
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    left = GAP
    for block, block_width in zip(blocks, widths, strict=True):
        draw.text((left, GAP), block.heading, "black", font)
        for row, captions in enumerate(block.captions):
            for column, caption in enumerate(captions):
                x, y = left + column * step_x, GAP + LINE + GAP + row * step_y
                picture.paste(_enlarged(block.images[row, column], factor), (x, y))
                draw.text((x, y + height * factor), caption, "black", font)
        left += block_width + BLOCK_GAP
    with atomic_write(path) as part:
        picture.save(part, format="PNG")


def _enlarged(image: Tensor, factor: int) -> Image.Image:
    if len(image) == 4:
        image = over_checkerboard(image[None])[0]
    pixels = image.expand(3, -1, -1).permute(1, 2, 0).repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    return Image.fromarray(pixels.contiguous().numpy())
