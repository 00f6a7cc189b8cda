"""One image file: the kinds that are read, and how its pixels become bytes; the same in training and in scoring."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from gan_convnorm.errors import BadInput
from gan_convnorm.files.kinds import HEAD, looks_like
from gan_convnorm.files.names import shown
from gan_convnorm.images.formats import FORMATS
from gan_convnorm.images.headers import bits_per_channel
from gan_convnorm.images.regular_files import kind_of_file

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["BadImage", "decode"]

#: a longer picture could not be brought to a square within the memory, and is no photograph
THIN = 100
#: EXIF's values for images that are not upright
TURNED = range(2, 9)
ORIENTATION = 0x0112
#: errors of a disk, a network or a process, and not of a file
PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class BadImage(Exception):  # noqa: N818 - the file is at fault
    """An image file that cannot be used; the message is the reason, without the file's name.

    >>> import io
    >>> decode(io.BytesIO(b"<html>"))
    Traceback (most recent call last):
    gan_convnorm.images.decoding.BadImage: looks like an HTML page
    """


def decode(file: str | os.PathLike[str] | BinaryIO, mode: str = "RGB") -> tuple[Image, list[str]]:
    """Return the first picture of a file, with 8 bits a channel, upright.

    As torch-fidelity does it, an alpha channel is dropped unless RGBA is asked for, grey repeated to three channels and
    CMYK converted without its colour profile. Unlike it, this turns the picture as its EXIF orientation says.

    >>> import io, PIL.Image
    >>> file = io.BytesIO()
    >>> PIL.Image.new("L", (4, 4)).save(file, "PNG")
    >>> decode(file)[1]
    ['are grey, repeated to three channels']

    Args:
        file: a path, or an open binary file.
        mode: "RGB", "L", or "RGBA", where a picture without an alpha channel gets 255, opaque.

    Returns:
        The picture, and all that was converted, each as a predicate of "3 images ...".

    Raises:
        BadImage: it cannot be decoded, or has more than 8 bits a channel.
        BadInput: the system cannot read it now, which says nothing about the file.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with _opened(file) as stream:
            if (bits := bits_per_channel(stream)) > 8:
                raise BadImage(f"more than 8 bits a channel, {bits} by its header; convert it to 8 bits")
            stream.seek(0)
            try:
                recognized = Image.open(stream, formats=tuple(FORMATS))
            except UnidentifiedImageError as error:
                stream.seek(0)
                raise BadImage(_unrecognized(stream.read(HEAD))) from error
            with recognized as opened:
                image: Image.Image = opened
                if image.mode[0] in "IF":
                    raise BadImage(f"more than 8 bits a channel, mode {image.mode}; convert it to 8 bits")
                notes = _notes(image, mode)
                if _orientation(image) in TURNED:
                    notes.append(
                        "are turned upright, as their EXIF orientation says (torch-fidelity does so for TIFF alone)"
                    )
                    image = ImageOps.exif_transpose(image)
                if max(image.size) > THIN * min(image.size):
                    width, height = image.size
                    raise BadImage(f"{height}x{width} pixels (height x width), more than {THIN} times as long as wide")
                if mode == "RGBA":
                    # By way of RGB: Pillow does not convert every kind of picture to RGBA directly.
                    return (image if _has_alpha(image) else image.convert("RGB")).convert(mode), notes
                # Pillow warns of what the notes say already.
                image.info.pop("transparency", None)
                return image.convert(mode), notes
    except (BadImage, BadInput):
        raise
    except MemoryError as error:
        raise BadInput("there is not enough memory to decode an image; free some, and start again") from error
    except Image.DecompressionBombError as error:
        raise BadImage(f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; make it smaller") from error
    except Exception as error:  # decoders raise many types
        _refuse_if_passing(error)
        reason = " ".join((str(error) or type(error).__name__).split())[:100]
        raise BadImage(f"damaged: {reason}") from error


def _unrecognized(head: bytes) -> str:
    kind = looks_like(head)
    known = any(word in kind for word in ("JPEG file", "PNG", "GIF", "WebP", "TIFF", "PNM", "BMP", "QOI"))
    return f"looks like {kind}{', damaged or of a rare kind' if known else ''}"


@contextlib.contextmanager
def _opened(file: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    """Open a path if it is a regular file: a named pipe would be waited for without end."""
    if not isinstance(file, (str, os.PathLike)):
        yield file
        return
    try:
        mode = os.stat(file).st_mode  # noqa: PTH116 - a million of them
        if not stat.S_ISREG(mode):
            raise BadImage(f"{kind_of_file(mode)}, not a regular file")
        stream = open(file, "rb")  # noqa: PTH123, SIM115
    except FileNotFoundError as error:
        raise BadImage("the file is gone, or is a link to nothing") from error
    except OSError as error:
        _refuse_if_passing(error)
        raise BadImage(f"cannot be opened: {error.strerror}") from error
    with stream:
        yield stream


def _refuse_if_passing(error: Exception) -> None:
    """Raise BadInput for an error of the system that says nothing about the file: it must not be kept as a bad one."""
    if isinstance(error, OSError) and error.errno in PASSING:
        name = f" {shown(error.filename)}" if error.filename else ""
        raise BadInput(f"an image cannot be read now{name}: {error.strerror}; see to it, and start again") from error


def _notes(image: Image, mode: str) -> list[str]:
    notes = []
    if getattr(image, "is_animated", False):
        notes.append("have several pictures (frames or pages), of which the first is taken")
    if image.mode == "CMYK":
        notes.append("are CMYK, converted to RGB without a colour profile")
    if _has_alpha(image):
        notes += [] if mode == "RGBA" else ["have an alpha channel, which is dropped"]
        return notes
    if mode == "RGBA":
        notes.append("have no alpha channel, which is set to 255 (opaque)")
    if image.mode == "1":
        notes.append("are black and white")
    elif mode != "L" and image.mode == "L":
        notes.append("are grey, repeated to three channels")
    elif mode == "L" and image.mode != "L":
        notes.append("are coloured, made grey")
    return notes


def _has_alpha(image: Image) -> bool:
    return "A" in image.mode.upper().replace("LAB", "") or "transparency" in image.info


def _orientation(image: Image) -> int:
    """Return the EXIF orientation, 1 where there is none that can be read."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF data is no reason to lose the picture
        return 1
    return found if isinstance(found, int) else 1
