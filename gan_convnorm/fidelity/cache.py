"""What is costly to compute, kept in the user's cache folder under a hash of all it depends on."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import torch

from gan_convnorm.atomic_write import atomic_write
from gan_convnorm.cache_folder import cache_folder

__all__ = ["cache_path", "read_cached", "write_cached"]


def cache_path(kind: str, *parts: Any) -> Path:
    """The file for something that depends on the parts alone."""
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
    return cache_folder() / f"{kind}-{digest[:20]}.pt"


def read_cached(path: Path) -> Any:
    """The content, or None where there is no file or, with a warning, a damaged one."""
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file provokes, computing again mends it
        warnings.warn(f"{path} cannot be read ({type(error).__name__}); it is computed again", stacklevel=2)
        return None


def write_cached(path: Path, content: Any) -> bool:
    """Keep tensors and plain values; whether that worked. A full disk costs a warning, not the scores."""
    try:
        with atomic_write(path) as part:
            torch.save(content, part)
        return True
    except (OSError, RuntimeError) as error:
        warnings.warn(f"{path} cannot be written ({error}); it will be computed again next time", stacklevel=2)
        return False
