"""One process at a time writes to a run folder."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import socket
import stat
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gan_convnorm.errors import BadInput, RunStopped, status_and_line
from gan_convnorm.files.atomic_write import remove_dead_parts
from gan_convnorm.run_folder.resume_advice import resume_advice
from gan_convnorm.run_folder.slurm_job import slurm_job

try:
    import fcntl
except ImportError:  # Windows, which has no flock: nothing is locked there
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK", "check_folder", "check_unlocked", "folder_locks", "lock_folder", "read_holder"]

LOCK = ".lock"
#: what is there when a run is refused, and what there may be when a signal comes before its first step
REFUSED = {LOCK, "config.yaml"}
UNTRAINED = {LOCK, "about.json", "config.yaml", "metrics.csv", "samples", "tensorboard"}
#: how the file's content begins
BEGINNING = b'{"pid": '
#: how its file is opened: no link to another file, and no waiting for a pipe's other end
NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
#: errors of file systems without locks, such as some NFS mounts
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)

#: the locked files of this process; the system frees their locks when it dies, however it dies
_held: dict[Path, int] = {}
#: locked files in folders that this process has made -> the folders above that it has made too
_made: dict[Path, list[Path]] = {}
#: the folders themselves, as they were when they were locked
_folders: dict[Path, os.stat_result] = {}


def lock_folder(folder: Path, *, made: bool = False, above: Sequence[Path] = (), restart: bool = True) -> None:
    """Keep other processes from writing to a folder while this one lives, or until `folder_locks` ends.

    The folder's `.lock` names the process. A second call by the same process does nothing.

    Args:
        folder: it exists.
        made: it was made for this process, and is removed again if nothing is written to it.
        above: the folders above that were made, and are removed, with it; the nearest first.
        restart: leave the lock in a SLURM job, which finds its folder by it when it is started again.

    Raises:
        BadInput: another process holds the lock, the folder cannot be written, or its `.lock` is another program's.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, folder_locks():
    ...     lock_folder(Path(folder))
    ...     read_holder(Path(folder))["pid"] == os.getpid()
    True
    """
    path = folder.resolve() / LOCK
    if path in _held and _is_at(_held[path], path):
        return
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
        except OSError as error:
            raise BadInput(
                f"the run folder {folder} cannot be written ({error.strerror}); choose another folder"
            ) from error
        try:
            _flock(descriptor, folder)
            if _is_at(descriptor, path):
                _check_own(descriptor, folder)
                break
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder has ended, and removed the file, between the two lines
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps({**holder, "slurm_job": slurm_job() if restart else None}).encode() + b"\n")
    _held[path] = descriptor
    _folders[path] = path.parent.stat()
    if made:  # and not another process's, which made it in the same moment
        _made[path] = [parent.resolve() for parent in above]
    remove_dead_parts(folder)


def check_unlocked(folder: Path) -> None:
    """Raise if another process holds a folder's lock; leave the lock as it is.

    Raises:
        BadInput: names the process.

    >>> check_unlocked(Path("a folder without a lock"))
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | NO_LINK)
    except OSError:
        return
    try:
        _flock(descriptor, folder, shared=True)  # so that it keeps nobody out
    finally:
        os.close(descriptor)


def check_folder(folder: Path) -> None:
    """Raise if a folder that this process has locked is not where it was: files written there would be lost.

    Raises:
        RunStopped: it was deleted, or another is in its place.

    >>> check_folder(Path("a folder without a lock"))
    """
    try:
        path = folder.resolve() / LOCK
        there = path not in _folders or os.path.samestat(path.parent.stat(), _folders[path])
    except OSError:  # also where the working folder, which a relative path begins at, is gone
        there = False
    if not there:
        raise RunStopped(
            f"the run folder {folder} is gone, or another is in its place; nothing more is written, and the run has to "
            "start again"
        )


@contextlib.contextmanager
def folder_locks(advice: Callable[[Path], str] = resume_advice) -> Iterator[None]:
    """Free the locks that are taken in the block; after an error, remove the folders that nothing was written to.

    Args:
        advice: says of a locked folder how to go on after an error of the file system.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with folder_locks():
    ...         lock_folder(Path(folder))
    ...     read_holder(Path(folder))
    {}
    """
    before = set(_held)
    try:
        yield
    except BaseException as error:
        for path in set(_held) - before:
            if isinstance(error, (OSError, RuntimeError)):
                _explain(error, path.parent, advice)
        made = _made.keys() & _held.keys() - before
        signal = isinstance(error, KeyboardInterrupt) or (isinstance(error, RunStopped) and error.status > 128)
        for path in made:
            _remove_untrained(path.parent, UNTRAINED if signal else REFUSED)
        for folder in (folder for path in made for folder in _made[path]):
            with contextlib.suppress(OSError):  # which a folder with files raises
                folder.rmdir()
        raise
    finally:
        for path in set(_held) - before:
            _release(path)
            _made.pop(path, None)


def _explain(error: OSError | RuntimeError, folder: Path, advice: Callable[[Path], str]) -> None:
    """Raise `RunStopped` in place of an error of the file system."""
    if isinstance(error, RunStopped):
        return
    try:
        check_folder(folder)
    except RunStopped as gone:
        raise gone from error
    if isinstance(error, OSError) and (found := status_and_line(error)) is not None:
        status, line = found
        raise RunStopped(f"{line}; {advice(folder)}", status) from error


def read_holder(folder: Path) -> dict[str, Any]:
    """Return the process that a lock names, as "pid", "host", "since" and "slurm_job"; empty without a lock.

    >>> read_holder(Path("no such folder"))
    {}
    """
    try:
        found = json.loads((folder / LOCK).read_bytes()[:4096])
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _flock(descriptor: int, folder: Path, *, shared: bool = False) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BadInput(
            f"the run folder {folder} is being written by {_words(read_holder(folder))}; wait for it, or choose "
            "another with --out"
        ) from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warnings.warn(
            f"the file system of {folder} has no locks ({error.strerror}); let one process alone write there",
            stacklevel=3,
        )


def _check_own(descriptor: int, folder: Path) -> None:
    """Raise unless a lock's file is new, or one that this program has written."""
    # A machine that lost its power may have left a part of it, or zeros in its place.
    regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    start = os.read(descriptor, 4096).strip(b"\0 \n") if regular else b""
    if not regular or not (start.startswith(BEGINNING) or BEGINNING.startswith(start)):
        raise BadInput(
            f"{folder / LOCK} is not a lock of this program, and is not overwritten; move it away, or choose another "
            "folder with --out"
        )


def _release(path: Path) -> None:
    descriptor = _held.pop(path)
    _folders.pop(path, None)
    # In a SLURM job it tells the job, when it is started again, which folder is its own.
    if read_holder(path.parent).get("slurm_job") is None and _is_at(descriptor, path):
        with contextlib.suppress(OSError):
            path.unlink()
    os.close(descriptor)


def _remove_untrained(folder: Path, names: set[str]) -> None:
    """Remove a folder that this process made, if it has only these entries and nothing of a training step."""
    with contextlib.suppress(OSError):
        entries = list(folder.iterdir())
        metrics = folder / "metrics.csv"
        lines = metrics.read_bytes().splitlines() if metrics.is_file() else []
        trained = any(line.partition(b",")[0] not in (b"step", b"0") for line in lines)
        if {entry.name for entry in entries} <= names and not trained:
            for entry in sorted(entries, key=lambda entry: entry.name == LOCK):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)
            folder.rmdir()


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _words(holder: dict[str, Any]) -> str:
    if not isinstance(holder.get("pid"), int):
        return "another process"
    return f"process {holder['pid']} on {holder.get('host')!s:.80}, since {holder.get('since')!s:.40}"


def _forget() -> None:
    """Let go of the locks in a copy of this process, such as a loader's worker, which may live longer than it."""
    for descriptor in _held.values():
        with contextlib.suppress(OSError):
            os.close(descriptor)
    for each in (_held, _made, _folders):
        each.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
