"""The folder for things that are costly to make."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import shutil
import tempfile
import warnings
from pathlib import Path

from gan_convnorm.files.part_files import is_dead, process_name, remove_dead_parts

__all__ = ["cache_folder", "temporary_folder"]

#: a temporary folder's name has the process that made it
TEMPORARY = re.compile(r"gan_convnorm-(?P<process>[0-9a-f]{8}-\d+)-.+")


def cache_folder() -> Path:
    """Return $XDG_CACHE_HOME/gan_convnorm or ~/.cache/gan_convnorm, without the parts that killed processes left.

    Where that cannot be written it is, with a warning, a temporary folder that goes when the process ends.
    """
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "gan_convnorm"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        warnings.warn(f"the cache folder {folder} cannot be written ({error.strerror}); nothing is kept", stacklevel=2)
        return temporary_folder()
    _clean(folder)
    return folder


def temporary_folder() -> Path:
    """Return a folder of this process that goes when it ends, after a kill when the next process needs such a folder.

    It is the same at every call.
    """
    return _temporary_folder(os.getpid())


@functools.lru_cache(maxsize=1)
def _temporary_folder(process: int) -> Path:
    _remove_dead_folders()
    folder = Path(tempfile.mkdtemp(prefix=f"gan_convnorm-{process_name()}-"))
    atexit.register(_remove, folder, process)
    return folder


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a fork has the handler too
        shutil.rmtree(folder, ignore_errors=True)


def _remove_dead_folders() -> None:
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            found = TEMPORARY.fullmatch(entry.name)
            if found and is_dead(found["process"]) and _is_own(entry):
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_own(entry: os.DirEntry[str]) -> bool:
    """Return True for a folder of this user; a link is none."""
    own = not hasattr(os, "getuid") or entry.stat(follow_symlinks=False).st_uid == os.getuid()
    return own and entry.is_dir(follow_symlinks=False)


@functools.cache
def _clean(folder: Path) -> None:
    """Remove dead parts once in a process: the folder is asked for often."""
    remove_dead_parts(folder)
