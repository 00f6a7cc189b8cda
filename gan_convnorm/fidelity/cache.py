"""Results that are costly to compute, kept in the user's cache folder under a hash of all they depend on."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.files.cache_folder import cache_folder

__all__ = ["cache_path", "read_cached", "write_cached"]

VERSION = 2  # of the files
#: entry of a file that says what it is and hashes the others
SEAL = "seal"


def cache_path(kind: str, *parts: object) -> Path:
    """Return the file for something that depends on the parts alone.

    >>> cache_path("features", "inception", 3).name
    'features-5481bbd5938988553830.pt'
    """
    digest = hashlib.sha256("\n".join(map(str, (VERSION, *parts))).encode()).hexdigest()
    return cache_folder() / f"{kind}-{digest[:20]}.pt"


def read_cached(path: Path) -> dict[str, Any] | None:
    """Return the content that `write_cached` wrote here; None if there is none or, with a warning, if it is damaged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "features.pt")
    ...     read_cached(path) is None, write_cached(path, {"count": 3}), read_cached(path)
    (True, True, {'count': 3})
    """
    if not os.path.lexists(path):
        return None
    try:
        return _read(path)
    except Exception as error:  # a foreign file may raise anything; it is computed again
        reason = str(error) if type(error) is ValueError else type(error).__name__
        warnings.warn(f"{path} cannot be read ({reason}); it is computed again", stacklevel=2)
        return None


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError("it is no regular file")
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or content.pop(SEAL, None) != _seal(path, content):
        raise ValueError("it holds something else")
    return content


def write_cached(path: Path, content: dict[str, Any]) -> bool:
    """Write tensors and plain values by name; a full disk costs a warning, not the scores.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "features.pt")
    ...     write_cached(path, {"mean": torch.zeros(2)}), read_cached(path)
    (True, {'mean': tensor([0., 0.])})

    Args:
        path: a file of `cache_path`.
        content: the values.

    Returns:
        True if the file was written.
    """
    try:
        with atomic_write(path) as part:
            torch.save({**content, SEAL: _seal(path, content)}, part)
        return True
    except (OSError, RuntimeError) as error:
        warnings.warn(f"{path} cannot be written ({error}); it will be computed again next time", stacklevel=2)
        return False


def _seal(path: Path, content: dict[str, Any]) -> str:
    """Return a hash of the file's name, which stands for what the content depends on, and of the content."""
    found = hashlib.sha256(path.name.encode())
    for name, value in _leaves("", content):
        if isinstance(value, Tensor):
            found.update(f"\n{name} {value.dtype} {tuple(value.shape)} ".encode())
            found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        else:
            found.update(f"\n{name} {value!r}".encode())
    return found.hexdigest()


def _leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    if not isinstance(value, dict):
        yield name, value
        return
    for key in value:
        yield from _leaves(f"{name}/{key}", value[key])
