"""Height and width of images, from one number for square ones or from text such as 32x48."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

from gan_convnorm.errors import BadInput

__all__ = ["MOST_PIXELS", "Size"]

#: longest side of images; a million pixels a side take 3 TB
MOST_PIXELS = 8192


class Size(NamedTuple):
    """Height and width of images, in pixels.

    Settings, checkpoints and exports hold `plain`: the side of square images, a number, or text such as "32x48". As
    text, a size is always height x width.

    >>> Size.of("32x48"), str(Size.of(16)), Size(16, 16).plain
    (Size(height=32, width=48), '16x16', 16)
    """

    height: int
    width: int

    @classmethod
    def of(cls, resolution: int | str, name: str = "resolution") -> Self:
        """Return the size that a setting names.

        Args:
            resolution: side of square images, or HEIGHTxWIDTH.
            name: of the setting, for messages.

        Returns:
            Two sides from 1 to 8192.

        Raises:
            BadInput: another text, or a side out of this range.
        """
        sides = [resolution, resolution] if type(resolution) is int else re.split("[xX]", str(resolution))
        if len(sides) == 1:
            sides *= 2
        if len(sides) != 2 or not all(re.fullmatch(r"-?[0-9]{1,20}", str(side)) for side in sides):
            raise BadInput(
                f"{name} is {str(resolution)[:60]!r}; expected the side of square images in pixels, such as 32, or "
                "height x width, such as 32x48"
            )
        size = cls(*(int(side) for side in sides))
        if min(size) < 1 or max(size) > MOST_PIXELS:
            raise BadInput(f"{name} is {resolution}, and must be from 1 to {MOST_PIXELS} pixels")
        return size

    @property
    def plain(self) -> int | str:
        """The side of a square, else text such as "32x48"."""
        return self.height if self.height == self.width else str(self)

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"
