"""Images in files: a folder of them, or one array file."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.image_set import TensorImages
from gan_convnorm.files.names import listed, shown
from gan_convnorm.images.arrays import IMAGE_NAMES, ArrayFile
from gan_convnorm.images.decoding import BadImage, decode
from gan_convnorm.images.fitting import crop_to
from gan_convnorm.images.folder import list_images
from gan_convnorm.images.regular_files import file_stamp
from gan_convnorm.images.size import Size

__all__ = ["FolderImages", "array_images"]

#: threads that decode
THREADS = min(16, os.cpu_count() or 1)
READING = 2  # version of reading; a change makes cached features of folders void


class FolderImages:
    """The image files in a folder, or in the folders below it, sorted by their real paths as torch-fidelity does.

    They are found and read as training finds and reads them, see `gan_convnorm.images.folder` and
    `gan_convnorm.images.decoding.decode`; warnings say what was passed over and what was converted.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("a.png", "b.png"):
    ...         Image.new("RGB", (12, 8)).save(Path(folder, name))
    ...     images = FolderImages(Path(folder), resize=4)
    ...     [batch.shape for batch in images.batches(0, len(images), batch_size=2)]
    [torch.Size([2, 3, 4, 4])]

    Args:
        folder: the folder; not one that holds a train and a test split.
        resize: side in pixels of squares, or "HEIGHTxWIDTH", to resize to (antialiased bilinear) and to crop the centre
            of; files of different sizes are refused without it.
        skip_bad: omit files that cannot be read, with a warning, instead of refusing the folder.

    Raises:
        BadInput: no folder, no images; while reading: unreadable files, more than 8 bits, different sizes.
    """

    block = 0

    def __init__(self, folder: Path, resize: int | str | None = None, skip_bad: bool = False) -> None:
        self.folder = folder
        self.resize = _size(resize)
        self.skip_bad = skip_bad
        self.files, self.classes = _image_files(folder)
        self.name = f"images of {shown(folder)}{_resizing(self.resize)}"
        self.bad: list[str] = []

    def __len__(self) -> int:
        return len(self.files)

    def batches(self, start: int, stop: int, batch_size: int) -> Iterator[Tensor]:
        """Yield images start to stop, uint8; bad and converted files are reported at the end."""
        count = stop - start
        converted: Counter[str] = Counter()
        self.bad = []
        size: tuple[int, ...] | None = None
        size_of = ""
        for batch in self._decoded(self.files[start:stop], batch_size):
            kept = []
            for path, image, notes in batch:
                if image is None:
                    self.bad.append(f"{shown(path)} ({notes[0]})")
                    continue
                converted.update(notes)
                size, size_of = (size, size_of) if size else (image.shape, path)
                if image.shape != size:
                    found, expected = (Size(*s[:2]) for s in (image.shape, size))
                    raise BadInput(
                        f"{shown(path)} is {found} pixels (height x width) and {shown(size_of)} is {expected}; "
                        f"expected one size: resize={min(size[:2])} (--resize {min(size[:2])}) brings them to it"
                    )
                kept.append(image)
            if kept:
                yield torch.from_numpy(np.stack(kept)).permute(0, 3, 1, 2).contiguous()
        for note, number in converted.items():
            warnings.warn(f"{number} {self.name} {note}", stacklevel=2)
        if self.bad and not self.skip_bad:
            raise BadInput(
                f"{len(self.bad)} of {count} files of {shown(self.folder)} cannot be read: {listed(self.bad)}; remove "
                "them, or leave them out with skip_bad=True (--skip-bad)"
            )
        if self.bad:
            message = f"{len(self.bad)} of {count} files of {shown(self.folder)} left out: {listed(self.bad)}"
            warnings.warn(message, stacklevel=2)

    def _decoded(self, files: list[str], batch_size: int) -> Iterator[list[tuple[str, np.ndarray | None, list[str]]]]:
        """Yield batches of (path, bytes of shape (H, W, 3), conversions), or (path, None, [reason]) for bad files."""

        def one(path: str) -> tuple[str, np.ndarray | None, list[str]]:
            try:
                image, notes = decode(path)
            except BadImage as error:
                return path, None, [str(error)]
            return path, np.asarray(image if self.resize is None else crop_to(image, self.resize)), notes

        # Threads, as for training: processes need a main guard in the caller's script where they are spawned.
        executor = ThreadPoolExecutor(THREADS)
        try:
            # One batch ahead of the caller, who computes features meanwhile.
            ahead = executor.map(one, files[:batch_size])
            for start in range(0, len(files), batch_size):
                batch = list(ahead)
                ahead = executor.map(one, files[start + batch_size : start + 2 * batch_size])
                yield batch
        finally:
            executor.shutdown(cancel_futures=True)

    def labels(self) -> Tensor | None:
        """Return the files' classes, int64 (N,), numbered in the order of the folders' names.

        None for one folder, and for folders of fewer than ten images on average, which are hardly classes.
        """
        number_of = {name: number for number, name in enumerate(sorted(set(self.classes)))}
        if len(number_of) < 2 or 10 * len(number_of) > len(self.files):
            return None
        return torch.tensor([number_of[name] for name in self.classes])

    def digest(self) -> str:
        """Return a hash of paths, sizes and times of the files, and of how they are read."""
        content = hashlib.sha256(
            f"{READING} {PIL.__version__} {self.resize and self.resize.plain} {self.skip_bad}".encode()
        )
        for path in self.files:
            content.update(os.fsencode(f"{path}\0{file_stamp(path)}\n"))
        return content.hexdigest()


def _image_files(folder: Path) -> tuple[list[str], list[str]]:
    """Return the files' real paths, sorted, and for each the folder in `folder` that holds it."""
    if not os.path.lexists(folder):
        raise BadInput(f"there is no folder or checkpoint {shown(folder)}")
    found = list_images(folder, "files such as *.png and *.jpg")
    splits = found.splits()
    if len(splits) > 1:
        one = shown(folder / splits["train"])
        raise BadInput(
            f"{shown(folder)} holds the splits {' and '.join(map(shown, splits.values()))}; give one, such as {one}"
        )
    chosen = found.group(*splits.values()) if splits else found
    chosen.files()
    files = sorted((real, name) for name, group in chosen.groups.items() for _, real in group)
    if message := found.passed_over():
        warnings.warn(message, stacklevel=4)
    return [real for real, _ in files], [name for _, name in files]


def array_images(path: Path, resize: int | str | None) -> TensorImages:
    """Return the images of an .npz or .npy file; in an .npz file, those in the array that training takes.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder, "cats.npz"), images=np.zeros((5, 8, 8, 3), dtype=np.uint8))
    ...     images = array_images(Path(folder, "cats.npz"), resize=4)
    >>> images.name, images.images.shape
    ('images of ...cats.npz resized to 4', torch.Size([5, 3, 4, 4]))

    Raises:
        BadInput: no file, a damaged one, or no uint8 images in it.
    """
    size = _size(resize)
    content = ArrayFile(path)
    name = content.find(IMAGE_NAMES)
    if name is None:
        expected = ", ".join(IMAGE_NAMES)
        if {"mu", "sigma"} <= content.arrays.keys():
            raise BadInput(
                f"{content.name} holds statistics; those of real images can be compared with, and fakes must be images"
            )
        raise BadInput(f"{content.name} holds {content.summary()}; expected images in one of the arrays {expected}")
    images = content.images(name)
    if unused := content.ignored():
        warnings.warn(unused, stacklevel=3)
    if size is not None:
        # Through PIL, as files are: a tensor's resizing rounds differently.
        images = torch.stack([_resized(image, size) for image in images])
    return TensorImages(images, f"images of {content.name}{_resizing(size)}")


def _resizing(size: Size | None) -> str:
    return "" if size is None else f" resized to {size.plain}"


def _size(resize: int | str | None) -> Size | None:
    try:
        return None if resize is None else Size.of(resize, "resize")
    except BadInput as error:
        raise BadInput(f"{error} (--resize)") from error


def _resized(image: Tensor, size: Size) -> Tensor:
    from torchvision.transforms.functional import pil_to_tensor, to_pil_image

    resized: Tensor = pil_to_tensor(crop_to(to_pil_image(image), size))
    return resized
