"""Files that are being written: the process that writes each, and the ones that a killed process has left."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["is_dead", "part_path", "process_name", "remove_dead_parts"]

#: the name of a part ends in the process that writes it
PART = re.compile(r"\..+\.(?P<process>[0-9a-f]{8}-\d+)\.part")
#: a file that is being written is touched more often than this, whoever writes it
DEAD_AFTER = 24 * 3600  # seconds


def part_path(path: Path) -> Path:
    """Return the name beside `path` under which this process writes it.

    >>> part_path(Path("a.json")).name  # doctest: +ELLIPSIS
    '.a.json....part'
    """
    return path.with_name(f".{path.name}.{process_name()}.part")


def remove_dead_parts(folder: Path) -> None:
    """Remove from a folder, and from the folders in it, the parts that a killed process has left.

    A part stays while its process lives. A process of another machine or container cannot be looked up, and a number
    may be another process's by now: such a part goes when nobody has written to it for a day.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     part = part_path(Path(folder, "a.json"))
    ...     part.touch()
    ...     remove_dead_parts(Path(folder))
    ...     part.exists()  # this process lives
    True
    """
    for where, _, names in os.walk(folder):  # which follows no links
        for name in names:
            path = Path(where, name)
            if (found := PART.fullmatch(name)) and (is_dead(found["process"]) or _is_old(path)):
                with contextlib.suppress(OSError):  # another process cleans up too, or the folder is read-only
                    path.unlink()


def is_dead(process: str) -> bool:
    """Return True if a process is known to have ended.

    >>> is_dead(process_name())
    False

    Args:
        process: its `process_name`.
    """
    home, _, number = process.rpartition("-")
    return home == _home() and not _lives(int(number))


def process_name() -> str:
    """Return a name for this process: where it runs, and its number there.

    >>> process_name().endswith(f"-{os.getpid()}")
    True
    """
    return f"{_home()}-{os.getpid()}"


@functools.cache
def _home() -> str:
    """Return a digest of all that a process number depends on: the host, its start, and the container's numbering."""
    facts = [socket.gethostname()]
    sources: tuple[Callable[[], str], ...] = (
        lambda: Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8"),
        lambda: str(Path("/proc/self/ns/pid").readlink()),
    )
    for read in sources:
        with contextlib.suppress(OSError):  # not on Linux
            facts.append(read())
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:8]


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > DEAD_AFTER
    except OSError:
        return False


def _lives(number: int) -> bool:
    if os.name != "posix":
        return True  # where signal 0 would end it
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True
