"""Files of tensors that torch.save wrote, read without running code."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.files.kinds import HEAD, looks_like
from gan_convnorm.files.names import shown

__all__ = ["load_tensors", "odd_tensor"]

#: tensors and plain values, alone or in lists and dicts: the caller checks which
Plain = Any
#: types of tensors that files may hold
DTYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
    torch.complex64,
    torch.complex128,
)
#: numbers of a tensor that may repeat fewer ones, as an expanded buffer does; half a gigabyte in float32
MOST_REPEATED = 2**27


def odd_tensor(value: Plain, name: str = "") -> str | None:
    """Return the name and the kind of a tensor that is not plain: its numbers are elsewhere, or few for its shape.

    Files can hold tensors without numbers, sparse ones, those of devices and rare types, and those that repeat a few
    numbers without end.

    >>> odd_tensor({"w": [torch.zeros(2), torch.zeros(1).expand(2**40)]})
    "'w.1' as a tensor of shape (1099511627776,) with 1 numbers"
    >>> odd_tensor({"w": torch.zeros(2, device="meta")})
    "'w' as a tensor of torch.float32, torch.strided, on meta"

    Args:
        value: tensors, plain values, lists and dicts of these.
        name: of the value.

    Returns:
        None if there is none.
    """
    seen: set[int] = set()
    left = [(name, value)]
    while left:
        name, value = left.pop()
        if isinstance(value, Tensor):
            if (odd := _kind_of_odd(value)) is not None:
                return f"{name!r} as {odd}"
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:  # a file may hold one in itself
            seen.add(id(value))
            items = value.items() if isinstance(value, dict) else enumerate(value)
            left += [(f"{name}.{key}".strip(".")[:80], inner) for key, inner in items]
    return None


def _kind_of_odd(tensor: Tensor) -> str | None:
    if tensor.device.type != "cpu" or tensor.layout != torch.strided or tensor.dtype not in DTYPES:
        return f"a tensor of {tensor.dtype}, {tensor.layout}, on {tensor.device}"
    held = tensor.untyped_storage().nbytes() // tensor.element_size()
    if tensor.numel() > max(held, MOST_REPEATED):
        return f"a tensor of shape {tuple(tensor.shape)} with {held} numbers"
    return None


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
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
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
    if (odd := odd_tensor(found)) is not None:
        raise BadInput(f"{shown(path)} holds {odd}; expected plain tensors")
    return found
