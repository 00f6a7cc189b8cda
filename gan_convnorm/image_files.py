"""What an image file may be, and how its pixels become bytes; the same for training and for scoring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["EXTENSIONS", "BadImage", "decode", "is_image", "listed", "to_square"]

EXTENSIONS = ("png", "jpg", "jpeg", "webp", "bmp")
#: PIL's modes with more than a byte to a value, which a conversion to RGB would clip
DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
NAMED = 5  # bad files in one message


class BadImage(Exception):  # noqa: N818 - the file is at fault
    """Why a file cannot be used, in a few words without its name."""


def is_image(path: Path) -> bool:
    """Whether the name ends as an image file's does."""
    return path.suffix[1:].lower() in EXTENSIONS


def decode(file: Any, mode: str = "RGB", upright: bool = False) -> tuple[Image, str]:
    """The first picture of a file, with 8 bits a channel.

    As torch-fidelity does it: an alpha channel is dropped, grey repeated to three channels.

    Args:
        file: a path, or an open binary file.
        mode: "RGB" or "L".
        upright: turn it as its EXIF orientation says, which torch-fidelity does not.

    Returns:
        The picture, and what was converted as a predicate of "3 images ...", or "".

    Raises:
        BadImage: it cannot be decoded, or has more than 8 bits a channel.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            if image.mode in DEEP_MODES:
                raise BadImage(f"more than 8 bits a channel, mode {image.mode}; convert it to 8 bits")
            note = _conversion(image, mode)
            if upright:
                ImageOps.exif_transpose(image, in_place=True)
            return image.convert(mode), note
    except BadImage:
        raise
    except Exception as error:  # decoders raise as the damage has it
        reason = " ".join((str(error) or type(error).__name__).split())[:100]
        raise BadImage(reason.replace(str(file), "file")) from error


def _conversion(image: Image, mode: str) -> str:
    if "A" in image.mode or "transparency" in image.info:
        return "have an alpha channel, which is dropped"
    if image.mode == "1":
        return "are black and white"
    if mode == "RGB":
        return "are grey, repeated to three channels" if image.mode == "L" else ""
    return "" if image.mode == "L" else "are coloured, made grey"


def to_square(image: Any, side: int) -> Any:
    """Resize the shorter side to `side` pixels (bilinear, antialiased) and crop the centre; a PIL image or a tensor."""
    from torchvision.transforms import functional as tv

    return tv.center_crop(tv.resize(image, side), side)


def listed(items: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return ", ".join(items[:NAMED]) + more
