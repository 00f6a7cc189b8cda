"""Files of tensors that torch.save wrote, read without running code."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from gan_convnorm.errors import BadInput
from gan_convnorm.files.kinds import HEAD, looks_like
from gan_convnorm.files.names import shown

__all__ = ["load_tensors"]

#: tensors and plain values, alone or in lists and dicts: the caller checks which
Plain = Any


def load_tensors(path: Path) -> Plain:
    """Return a file's tensors and plain values, memory-mapped where the file allows it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"w": torch.ones(2)}, Path(folder, "a.pt"))
    ...     load_tensors(Path(folder, "a.pt"))
    {'w': tensor([1., 1.])}

    Raises:
        BadInput: no regular file, a damaged one, or one with other objects, which would run code.
    """
    if not path.is_file():
        raise BadInput(f"there is no file {shown(path)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that are then refused
            # Files older than torch 1.6 are no zip archives, and cannot be mapped.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # zip and unpickler raise whatever the damage provokes, with advice to skip the check
        text = str(error)
        named = re.search(r"GLOBAL (\S+)", text)
        if named or "TorchScript" in text:
            objects = f"Python objects ({named[1]})" if named else "a TorchScript program"
            raise BadInput(
                f"{shown(path)} holds {objects}, which could run code when it is read; expected tensors and plain "
                "values alone"
            ) from error
        with path.open("rb") as file:
            kind = looks_like(file.read(HEAD))
        raise BadInput(
            f"{shown(path)} cannot be read: it looks like {kind}; expected a file of torch.save, undamaged"
        ) from error
