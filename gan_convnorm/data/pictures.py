"""Image files of any origin, and the form that they are decoded to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from gan_convnorm.files.names import shown
from gan_convnorm.images.decoding import decode
from gan_convnorm.images.fitting import crop_to
from gan_convnorm.images.regular_files import file_stamp
from gan_convnorm.images.size import Size

__all__ = ["Files", "Form", "Pictures"]


#: Pillow's name for pictures of so many channels
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class Pictures(Protocol):
    """Numbered image files, of any origin.

    >>> pictures: Pictures = Files(Path("photos"), ["a.png"], "photos")
    >>> len(pictures), pictures.label(0)
    (1, 'photos/a.png')

    Attributes:
        name: the name of the set, for messages.
    """

    name: str

    def __len__(self) -> int: ...

    def open(self, index: int) -> Path | BinaryIO:
        """Return the path of a picture, or an open binary file."""

    def label(self, index: int) -> str:
        """Return the name of a picture for messages."""

    def key(self) -> str:
        """Return a hash that changes when a file does."""


@dataclass(frozen=True)
class Form:
    """Size, channels and cropping of decoded pictures.

    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (40, 30)).save(file, "PNG")
    >>> Form(resolution=16, channels=1)(file)[0].shape
    (1, 16, 16)

    Attributes:
        resolution: side in pixels, or "HEIGHTxWIDTH".
        channels: 3, 1 for grey, or 4 for RGBA.
        fit: "crop" keeps the aspect ratio and crops the centre (`crop_to`), "stretch" resizes both sides.
        crop_first: side of a centre crop before that, in pixels.
    """

    resolution: int | str
    channels: int = 3
    fit: str = "crop"
    crop_first: int | None = None

    @property
    def size(self) -> Size:
        """Height and width in pixels."""
        return Size.of(self.resolution)

    def __call__(self, file: Path | BinaryIO) -> tuple[np.ndarray, list[str]]:
        """Return a picture as uint8 (C, H, W), and the conversions that it needed beyond resizing."""
        from torchvision.transforms import functional as tv

        image, notes = decode(file, MODES[self.channels])
        if self.crop_first is not None:
            image = tv.center_crop(image, self.crop_first)
        if image.height < self.size.height or image.width < self.size.width:
            notes.append(f"are smaller than {self.resolution} pixels and were enlarged")
        image = crop_to(image, self.size) if self.fit == "crop" else tv.resize(image, list(self.size))
        return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1), notes


class Files:
    """Image files on disk.

    >>> Files(Path("photos"), ["a.png", "b.png"], "photos").open(1).as_posix()
    'photos/b.png'

    Args:
        root: the folder they lie in.
        paths: their paths below it.
        name: the name of the set, for messages.
    """

    def __init__(self, root: Path, paths: Sequence[str], name: str) -> None:
        self.root = root
        self.paths = paths
        self.name = name

    def __len__(self) -> int:
        return len(self.paths)

    def open(self, index: int) -> Path:
        """Return a file's path."""
        return self.root / self.paths[index]

    def label(self, index: int) -> str:
        """Return a file's path for messages."""
        return shown(self.root / self.paths[index])

    def key(self) -> str:
        """Return a hash of the folder and of every file's path, size and time."""
        root = os.path.realpath(self.root)
        content = hashlib.sha256(os.fsencode(root))
        for path in self.paths:
            stamp = file_stamp(os.path.join(root, path))  # noqa: PTH118 - a million of them
            content.update(os.fsencode(f"\0{path} {stamp}"))
        return content.hexdigest()
