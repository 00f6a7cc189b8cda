"""Pictures decoded into a file of bytes, beside a list of those that could not be decoded."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gan_convnorm.data.pictures import Form, Pictures
from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.images.decoding import BadImage
from gan_convnorm.progress import Progress

__all__ = ["decode_to_file", "list_hash"]

BLOCK = 64  # pictures a thread decodes at a time
THREADS = min(16, os.cpu_count() or 1)


def decode_to_file(path: Path, pictures: Pictures, form: Form) -> None:
    """Decode pictures, by threads, into a .npy file of bytes, and write a .json file about it.

    Each file appears whole or not at all, the .json file last: if it is there, the pixels are complete. Pictures that
    cannot be decoded are listed in it.

    >>> import json, tempfile
    >>> from PIL import Image
    >>> from gan_convnorm.data.pictures import Files
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     root = Path(folder)
    ...     Image.new("RGB", (9, 8)).save(root / "a.png")
    ...     _ = (root / "b.png").write_bytes(b"")
    ...     decode_to_file(root / "all.npy", Files(root, ["a.png", "b.png"], "photos"), Form(8))
    ...     np.load(root / "all.npy").shape, json.loads((root / "all.json").read_text())["kept"]
    ((1, 3, 8, 8), [0])

    Args:
        path: the .npy file, (N, C, H, W); the .json file has its name.
        pictures: the image files.
        form: size, channels and cropping of the images.

    Raises:
        BadInput: no room for the files, or no permission to write them.
    """
    one = (form.channels, *form.size)
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
        about |= {"list": list_hash(kept, bad, notes), "kept": kept, "bad": bad, "notes": notes}
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


def list_hash(kept: list[int], bad: list[str], notes: dict[str, int]) -> str:
    """Return a hash of the list of decoded pictures, of bad ones and of conversions, which seals it.

    >>> list_hash([0, 2], ["b.png (damaged)"], {})[:8]
    '41fd4192'
    """
    return hashlib.sha256(json.dumps([kept, bad, notes]).encode()).hexdigest()


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Write the start of a .npy file; NumPy pads it, so that another count of images takes as many bytes."""
    file.seek(0)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
