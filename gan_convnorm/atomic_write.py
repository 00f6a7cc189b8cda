"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["atomic_write"]


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to, and renames it when the block ends without an error.

    Whoever reads `path` sees the old file or the new one, also when this process is killed or the disk is full, and
    when two processes write at once.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())  # the name must not reach the disk before the content
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            raise type(error)(error.errno, error.strerror, str(path)) from error  # a full disk names no file
        raise
