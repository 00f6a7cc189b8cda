"""Tests for regular files, and names for other kinds of files, such as pipes."""

from __future__ import annotations

import os
import stat

__all__ = ["file_stamp", "kind_of_file"]


def kind_of_file(mode: int) -> str:
    """Return the kind of a file that is not regular, by its mode.

    >>> kind_of_file(stat.S_IFIFO)
    'a named pipe'
    """
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((name for test, name in kinds if test(mode)), "a special file")


def file_stamp(path: str) -> str:
    """Return a file's size and times as text, "missing" for no file.

    >>> file_stamp("no/such/file.png")
    'missing'

    Args:
        path: the file.

    Returns:
        Text that changes when the file does.
    """
    try:
        status = os.stat(path)  # noqa: PTH116
        return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    except OSError:
        return "missing"  # decoding names it
