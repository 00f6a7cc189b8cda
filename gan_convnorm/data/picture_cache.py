"""Pictures decoded once into a .npy file in the cache folder, which is memory-mapped."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tokenize
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL
import torch
from torch import Tensor

from gan_convnorm.data.pictures import Form, Pictures
from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.files.cache_folder import cache_folder
from gan_convnorm.files.names import listed
from gan_convnorm.images.decoding import BadImage
from gan_convnorm.progress import Progress

__all__ = ["Decoded", "decode_once"]

VERSION = 3  # of the files and of how pixels are made; a change makes new files
BLOCK = 64  # pictures a thread decodes at a time
THREADS = min(16, os.cpu_count() or 1)


@dataclass(frozen=True)
class Decoded:
    """Decoded pictures as one tensor, with the list of those that could not be decoded.

    Attributes:
        images: uint8 (N, C, H, W), memory-mapped and read-only.
        kept: int64 (N,), their numbers among the pictures.
        bad: the pictures that cannot be decoded, each as "name (reason)".
        notes: kind of conversion -> number of pictures that needed it.
    """

    images: Tensor
    kept: Tensor
    bad: list[str]
    notes: dict[str, int]

    def check(self, name: str, *, skip_bad: bool = False, advice: str = "remove them") -> None:
        """Raise or warn because of bad files; warn of conversions.

        Args:
            name: the data set, for messages.
            skip_bad: warn of bad files and go on without them.
            advice: the last words of the error.

        Raises:
            BadInput: bad files without `skip_bad`, or no good one.
        """
        for note, number in self.notes.items():
            warnings.warn(f"{number} images of {name} {note}", stacklevel=3)
        if not self.bad:
            return
        message = f"{len(self.bad)} of {len(self.bad) + len(self.images)} files of {name} cannot be read"
        if not skip_bad or not len(self.images):
            raise BadInput(f"{message}: {listed(self.bad)}; {advice}")
        warnings.warn(f"{message} and are left out: {listed(self.bad)}", stacklevel=3)


def decode_once(pictures: Pictures, form: Form) -> Decoded:
    """Return the pictures as one tensor, read from the cache or decoded now.

    The file lies in the cache folder under a hash of the pictures' names, sizes and times, of `form` and of Pillow's
    version. It appears whole or not at all; two processes that write it at once write the same.

    Args:
        pictures: the image files.
        form: size, channels and cropping of the images.

    Returns:
        The images, memory-mapped, and the list of bad files.

    Raises:
        BadInput: no space for it, or a folder in its place.
    """
    parts = (VERSION, PIL.__version__, form, pictures.key())
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
    path = cache_folder() / f"images-{digest[:20]}.npy"
    found = _read(path, pictures, form)
    if found is None:
        for file in (path, path.with_suffix(".json")):
            if file.is_dir():
                raise BadInput(f"{file} is a folder, in the place of a file of the cache; remove it")
        _write(path, pictures, form)
        found = _read(path, pictures, form)
        if found is None:
            raise BadInput(f"{path} was changed while it was written; start again, or set XDG_CACHE_HOME elsewhere")
    return found


def _read(path: Path, pictures: Pictures, form: Form) -> Decoded | None:
    """Return the cached pictures; None if there are none or, with a warning, if the files are damaged.

    The list is written last: if it is there, the pixels are complete.
    """
    if not os.path.lexists(path.with_suffix(".json")):
        return None
    try:
        return _checked(path, pictures, form)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, tokenize.TokenError) as error:
        warnings.warn(f"{path} is damaged ({type(error).__name__}: {error}); it is made again", stacklevel=3)
        return None


def _checked(path: Path, pictures: Pictures, form: Form) -> Decoded:
    """Return the cached pictures, checked against the hashes beside them.

    Returns:
        The pictures, memory-mapped.

    Raises:
        ValueError: other files than the ones written; NumPy, JSON and the system raise more.
    """
    about = path.with_suffix(".json")
    if not about.is_file() or not path.is_file():
        raise ValueError("no regular file")
    content = json.loads(about.read_text(encoding="utf-8"))
    kept, bad, notes = content["kept"], content["bad"], content["notes"]
    if content["of"] != path.name or content["list"] != _list_hash(kept, bad, notes):
        raise ValueError("the list is another one")
    if len(kept) + len(bad) != len(pictures):
        raise ValueError(f"{len(kept)} good and {len(bad)} bad pictures, expected {len(pictures)}")
    pixels = _mapped(path, (len(kept), form.channels, form.resolution, form.resolution))
    # Hashing gigabytes takes longer than training's start should: only a file that was touched is hashed.
    if content["time"] != path.stat().st_mtime_ns and content["sha256"] != hashlib.sha256(pixels.data).hexdigest():
        raise ValueError("the pixels are others")
    with warnings.catch_warnings():
        # Read-only is meant: Linux refuses a private writable map of a file larger than the memory.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        images = torch.from_numpy(pixels)
    return Decoded(images, torch.tensor(kept, dtype=torch.int64), bad, notes)


def _list_hash(kept: list[int], bad: list[str], notes: dict[str, int]) -> str:
    return hashlib.sha256(json.dumps([kept, bad, notes]).encode()).hexdigest()


def _mapped(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """Map a .npy file of bytes of this shape.

    Returns:
        A read-only array, uint8.

    Raises:
        ValueError: other content; NumPy itself refuses Python objects.
    """
    pixels = np.lib.format.open_memmap(path, mode="r")
    if pixels.dtype != np.uint8 or pixels.shape != shape or not pixels.flags.c_contiguous:
        raise ValueError(f"found {pixels.dtype} of shape {pixels.shape}, expected uint8 of shape {shape}")
    if path.stat().st_size != pixels.offset + pixels.nbytes:
        raise ValueError(f"{path.stat().st_size} bytes, expected {pixels.offset + pixels.nbytes}")
    return pixels


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Write the start of a .npy file; NumPy pads it, so that another count of images takes as many bytes."""
    file.seek(0)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _write(path: Path, pictures: Pictures, form: Form) -> None:
    one = (form.channels, form.resolution, form.resolution)
    needed = len(pictures) * prod(one)
    room = (
        f"{len(pictures)} images of {pictures.name} at {form.resolution} pixels take {needed / 1e9:.3g} GB in "
        f"{path.parent}; make room, choose a smaller resolution, or set XDG_CACHE_HOME to another disk"
    )
    if needed > (free := shutil.disk_usage(path.parent).free):
        raise BadInput(f"{room}: {free / 1e9:.3g} GB are free")
    kept: list[int] = []
    bad: list[str] = []
    notes: Counter[str] = Counter()
    content = hashlib.sha256()

    def block(start: int) -> list[tuple[np.ndarray, list[str]] | str]:
        return [_one(pictures, index, form) for index in range(start, min(start + BLOCK, len(pictures)))]

    # Threads: decoders and resizing run beside each other, and a file already open needs no copy to a process.
    executor = ThreadPoolExecutor(THREADS)
    try:
        with (
            atomic_write(path) as part,
            part.open("wb") as file,
            Progress(f"decoding {pictures.name}", "images", len(pictures)) as progress,
        ):
            # Written as a stream and not through the map, where a full disk would end the process by a signal.
            _write_header(file, (len(pictures), *one))
            starts = range(0, len(pictures), BLOCK)
            for start, results in zip(starts, executor.map(block, starts), strict=True):
                for index, result in enumerate(results, start):
                    if isinstance(result, str):
                        bad.append(f"{pictures.label(index)} ({result})")
                        continue
                    pixels = result[0].tobytes()
                    file.write(pixels)
                    content.update(pixels)
                    kept.append(index)
                    notes.update(result[1])
                progress.update(start + len(results))
            _write_header(file, (len(kept), *one))
        about = {"of": path.name, "time": path.stat().st_mtime_ns, "sha256": content.hexdigest()}
        about |= {"list": _list_hash(kept, bad, notes), "kept": kept, "bad": bad, "notes": notes}
        with atomic_write(path.with_suffix(".json")) as part:
            part.write_text(json.dumps(about), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{room}: {error.strerror}") from error
    finally:
        executor.shutdown(cancel_futures=True)


def _one(pictures: Pictures, index: int, form: Form) -> tuple[np.ndarray, list[str]] | str:
    try:
        return form(pictures.open(index))
    except BadImage as error:
        return str(error)
