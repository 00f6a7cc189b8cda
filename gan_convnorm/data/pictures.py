"""Image files of any origin, and what they are made into."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gan_convnorm.files.names import shown
from gan_convnorm.images.decoding import decode, file_stamp, to_square

__all__ = ["Files", "Form", "Pictures"]


class Pictures(Protocol):
    """Numbered image files.

    Attributes:
        name: what they are, for messages.
    """

    name: str

    def __len__(self) -> int: ...

    def open(self, index: int) -> Any:
        """A path or an open binary file."""

    def label(self, index: int) -> str:
        """What a message calls it."""

    def key(self) -> str:
        """Changes when a file does."""


@dataclass(frozen=True)
class Form:
    """What pictures are made into.

    Attributes:
        resolution: side in pixels.
        channels: 3, or 1 for grey.
        fit: "crop" resizes the shorter side and crops the centre, "stretch" resizes both sides.
        crop_first: side of a centre crop before that, in pixels.
    """

    resolution: int
    channels: int = 3
    fit: str = "crop"
    crop_first: int | None = None

    def __call__(self, file: Any) -> tuple[np.ndarray, list[str]]:
        """uint8 of shape (C, H, W), and what was done to it beyond resizing."""
        from torchvision.transforms import functional as tv

        image, notes = decode(file, "RGB" if self.channels == 3 else "L")
        if self.crop_first is not None:
            image = tv.center_crop(image, self.crop_first)
        if min(image.size) < self.resolution:
            notes.append(f"are smaller than {self.resolution} pixels and were enlarged")
        side = self.resolution
        image = to_square(image, side) if self.fit == "crop" else tv.resize(image, [side, side])
        return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1), notes


class Files:
    """Image files on disk.

    Args:
        root: the folder they lie in.
        paths: their paths below it.
        name: what they are, for messages.
    """

    def __init__(self, root: Path, paths: Sequence[str], name: str) -> None:
        self.root = root
        self.paths = paths
        self.name = name

    def __len__(self) -> int:
        return len(self.paths)

    def open(self, index: int) -> Path:
        return self.root / self.paths[index]

    def label(self, index: int) -> str:
        return shown(self.root / self.paths[index])

    def key(self) -> str:
        root = os.path.realpath(self.root)
        content = hashlib.sha256(os.fsencode(root))
        for path in self.paths:
            stamp = file_stamp(os.path.join(root, path))  # noqa: PTH118 - a million of them
            content.update(os.fsencode(f"\0{path} {stamp}"))
        return content.hexdigest()
