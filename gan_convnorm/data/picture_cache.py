"""Pictures decoded once into a .npy file in the cache folder, which is memory-mapped."""

from __future__ import annotations

import hashlib
import json
import os
import tokenize
import warnings
from pathlib import Path

import numpy as np
import PIL
import torch

from gan_convnorm.data.decoded import Decoded
from gan_convnorm.data.picture_decoding import decode_to_file, list_hash
from gan_convnorm.data.pictures import Form, Pictures
from gan_convnorm.errors import BadInput
from gan_convnorm.files.cache_folder import cache_folder

__all__ = ["decode_once"]

VERSION = 3  # of the files and of how pixels are made; a change makes new files


def decode_once(pictures: Pictures, form: Form) -> Decoded:
    """Return the pictures as one tensor, read from the cache or decoded now.

    The file lies in the cache folder under a hash of the pictures' names, sizes and times, of `form` and of Pillow's
    version. It appears whole or not at all; two processes that write it at once write the same.

    >>> import tempfile
    >>> from PIL import Image
    >>> from gan_convnorm.data.pictures import Files
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (9, 8)).save(Path(folder, "a.png"))
    ...     decode_once(Files(Path(folder), ["a.png"], "photos"), Form(resolution=8)).images.shape
    torch.Size([1, 3, 8, 8])

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
        decode_to_file(path, pictures, form)
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
    if content["of"] != path.name or content["list"] != list_hash(kept, bad, notes):
        raise ValueError("the list is another one")
    if len(kept) + len(bad) != len(pictures):
        raise ValueError(f"{len(kept)} good and {len(bad)} bad pictures, expected {len(pictures)}")
    pixels = _mapped(path, (len(kept), form.channels, *form.size))
    # Hashing gigabytes takes longer than training's start should: only a file that was touched is hashed.
    if content["time"] != path.stat().st_mtime_ns and content["sha256"] != hashlib.sha256(pixels.data).hexdigest():
        raise ValueError("the pixels are others")
    with warnings.catch_warnings():
        # Read-only is meant: Linux refuses a private writable map of a file larger than the memory.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        images = torch.from_numpy(pixels)
    return Decoded(images, torch.tensor(kept, dtype=torch.int64), bad, notes)


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
