"""The user's cache folder, and a temporary folder where the cache cannot be written."""

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

import platformdirs

from gan_convnorm.files.part_files import is_dead, process_name, remove_dead_parts

__all__ = ["cache_folder", "temporary_folder"]

#: the name of a temporary folder tells the process that made it
TEMPORARY = re.compile(r"gan_convnorm-(?P<process>[0-9a-f]{8}-\d+)-.+")


def cache_folder() -> Path:
    """Return the folder that downloads, features and decoded images are kept in; it is created if needed.

    It is `gan_convnorm` in the folder that XDG_CACHE_HOME names, else in the system's cache folder for this user
    (~/.cache on Linux). Unfinished files of processes that were killed are removed from it.

    >>> cache_folder().is_dir()
    True

    Returns:
        The folder; with a warning a temporary one that lasts until the process ends, if the cache cannot be written.
    """
    # platformdirs reads the variable on some systems only.
    base = os.environ.get("XDG_CACHE_HOME")
    folder = Path(base) / "gan_convnorm" if base else platformdirs.user_cache_path("gan_convnorm", appauthor=False)
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
    """Return this process's temporary folder, the same at every call.

    It is removed when the process ends. If the process was killed, the next process that asks for such a folder
    removes it.

    >>> temporary_folder() == temporary_folder()
    True

    Returns:
        The folder, readable by this user alone.
    """
    return _temporary_folder(os.getpid())


@functools.lru_cache(maxsize=1)
def _temporary_folder(process: int) -> Path:
    _remove_dead_folders()
    folder = Path(tempfile.mkdtemp(prefix=f"gan_convnorm-{process_name()}-"))
    atexit.register(_remove, folder, process)
    return folder


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a forked process has the handler too
        shutil.rmtree(folder, ignore_errors=True)


def _remove_dead_folders() -> None:
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            found = TEMPORARY.fullmatch(entry.name)
            if found and is_dead(found["process"]) and _is_own(entry):
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_own(entry: os.DirEntry[str]) -> bool:
    """Return True for a folder of this user, not for a link to one."""
    own = not hasattr(os, "getuid") or entry.stat(follow_symlinks=False).st_uid == os.getuid()
    return own and entry.is_dir(follow_symlinks=False)


@functools.cache
def _clean(folder: Path) -> None:
    """Remove dead parts once in a process: the folder is asked for often."""
    remove_dead_parts(folder)
