"""Files that are written whole or not at all, and never in place of a file of another kind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from gan_convnorm.errors import BadInput
from gan_convnorm.files.part_files import part_path, remove_dead_parts

__all__ = ["atomic_write", "check_replaceable", "remove_dead_parts"]


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to, and rename it when the block ends without an error.

    Readers of `path` see the old file or the new one, also when this process is killed, when the disk is full, and when
    two processes write at once.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.txt")
    ...     with atomic_write(path) as part:
    ...         _ = part.write_text("whole")
    ...         there = path.exists()
    ...     there, path.read_text()
    (False, 'whole')

    Args:
        path: the file to write or replace.

    Yields:
        The path to write to.
    """
    part = part_path(path)
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


def check_replaceable(path: Path, is_ours: Callable[[Path], bool], overwrite: bool) -> None:
    """Refuse to write to a file that this command has not made.

    >>> check_replaceable(Path("no such file"), lambda path: False, overwrite=False)

    Args:
        path: the file to be written.
        is_ours: tells whether this command has written a file; an OSError or ValueError means no.
        overwrite: replace any file.

    Raises:
        BadInput: there is such a file and `overwrite` is false, or something that is not a file.
    """
    if not os.path.lexists(path):
        return
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no regular file"
        raise BadInput(f"{path} is {kind}; give the name of a file to write")
    if overwrite:
        return
    try:
        ours = is_ours(path)
    except (OSError, ValueError, RecursionError):
        ours = False
    if not ours:
        raise BadInput(
            f"{path} exists and was not written by this command; give another name, or --overwrite to replace it"
        )
