"""A name beside each row of a grid of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["name_rows"]

SIZE = 20  # pixels, of the letters
PAPER, INK = "white", "black"


def name_rows(picture: Image, names: Sequence[str]) -> Image:
    """Return a picture with a white margin at its left, where each of its rows has a name.

    Args:
        picture: RGB, of rows that are equally high.
        names: of the rows, from the top.

    >>> from PIL import Image
    >>> name_rows(Image.new("RGB", (100, 60)), ["0", "1"]).height
    60
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(SIZE)
    margin = round(max(font.getlength(name) for name in names)) + SIZE
    named = Image.new("RGB", (margin + picture.width, picture.height), PAPER)
    named.paste(picture, (margin, 0))
    draw = ImageDraw.Draw(named)
    for row, name in enumerate(names):
        middle = (row + 0.5) * picture.height / len(names)
        draw.text((margin - SIZE / 2, middle), name, INK, font, anchor="rm")
    return named
