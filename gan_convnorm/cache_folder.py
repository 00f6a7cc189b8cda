"""Where things are kept that are costly to make."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import warnings
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/gan_convnorm or ~/.cache/gan_convnorm.

    Where that cannot be written it is, with a warning, a temporary folder that goes when the process ends.
    """
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "gan_convnorm"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        warnings.warn(f"the cache folder {folder} cannot be written ({error.strerror}); nothing is kept", stacklevel=2)
        temporary = Path(tempfile.mkdtemp(prefix="gan_convnorm-"))
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        return temporary
