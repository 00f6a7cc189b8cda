"""Errors that the user can fix, and how a program ends on them: one line, an exit status, no traceback."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterator
from typing import NoReturn

from gan_convnorm.any_text import print_any_text

__all__ = [
    "NOT_FINITE",
    "BadInput",
    "OneLineParser",
    "RunStopped",
    "fail",
    "one_line",
    "one_line_errors",
    "reason_of",
    "status_and_line",
]

#: exit status of a run whose losses or weights became NaN or infinite
NOT_FINITE = 3
#: torch's words, of aten/src/ATen/mps/MPSFallback.mm
MISSING_ON_MPS = "The operator '([^']+)' is not currently implemented for the MPS device"


class BadInput(ValueError):  # noqa: N818 - the input is at fault, and the name says so
    """A file, flag, shape or checkpoint that cannot be used.

    The message is one line: what was found, what was expected, what to do. The command line prints it and exits with
    status 2. Every error that is neither this nor `RunStopped` is a defect of this package and keeps its traceback.

    >>> raise BadInput("width is 0; expected 1 or more")
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: width is 0; expected 1 or more
    """


class RunStopped(RuntimeError):  # noqa: N818 - no defect
    """A run that cannot or must not go on: a signal, weights that are NaN, a process that is gone, a full disk.

    The message is one line: what happened, where, and how the run goes on. The command line prints it and exits with
    the status.

    >>> RunStopped("stopped by SIGTERM", status=143).status
    143

    Args:
        message: the line.
        status: the command's exit status; for a signal, by custom, 128 + its number.
    """

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


FILE_SYSTEM_ERRORS = (
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
)


def fail(message: str, status: int = 2) -> NoReturn:
    """Print one line on standard error and exit with the status.

    >>> fail("width is 0")
    Traceback (most recent call last):
    SystemExit: 2

    Args:
        message: the line; line breaks in it become spaces.
        status: the exit status.

    Raises:
        SystemExit: always, with the status.
    """
    with contextlib.suppress(OSError):  # standard error is closed
        print(f"error: {one_line(message)}", file=sys.stderr, flush=True)
    raise SystemExit(status)


def one_line(message: str) -> str:
    r"""Return a message as one line without control characters, by which a file's text could write over the terminal.

    >>> one_line("no\nsuch \x1b[2Jfile")
    'no such \\x1b[2Jfile'
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", " ".join(message.split()))


def reason_of(error: BaseException) -> str:
    r"""Return another library's exception on one short line: its type and text.

    >>> reason_of(ValueError("no\nnumber"))
    'ValueError: no number'
    """
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


class OneLineParser(argparse.ArgumentParser):
    """argparse's parser with errors of one line, without the usage.

    >>> OneLineParser(prog="score").parse_args(["--no-such-flag"])
    Traceback (most recent call last):
    SystemExit: 2
    """

    def error(self, message: str) -> NoReturn:
        """End the program with the message and a pointer to --help."""
        fail(f"{message}; see {self.prog} --help")


def status_and_line(error: BaseException) -> tuple[int, str] | None:
    """Return the exit status and the line for an error that the user can fix.

    >>> status_and_line(BadInput("width is 0"))
    (2, 'width is 0')

    Returns:
        Status 2 for bad input and for what Apple's GPU cannot compute, the run's own for a run that has to stop, 1 for
        a file that cannot be written. None for a defect of this package.
    """
    cause: BaseException | None = error
    while cause is not None:  # jsonargparse wraps a constructor's errors in its own
        if isinstance(cause, BadInput):
            return 2, str(cause)
        if isinstance(cause, RunStopped):
            return cause.status, str(cause)
        if type(cause).__name__ == "MisconfigurationException":  # Lightning's, whose import takes seconds
            return 2, f"the settings cannot be used: {cause}"
        if line := _missing_on_mps(cause):
            return 2, line
        cause = cause.__cause__
    if isinstance(error, OSError) and error.errno in FILE_SYSTEM_ERRORS:
        return 1, f"{error.filename or 'a file'} cannot be written ({error.strerror})"
    if isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker (pid"):
        reason = str(error).splitlines()[0].rstrip(". ")
        return 1, f"a process that reads images has ended ({reason}); often the system killed it for lack of memory"
    return None


def _missing_on_mps(error: BaseException) -> str | None:
    """Return the line for an operation, or a type of numbers, that torch does not have on Apple's GPU, else None."""
    said = str(error)
    if isinstance(error, NotImplementedError) and (found := re.match(MISSING_ON_MPS, said)):
        return (
            f"Apple's GPU (mps) cannot compute the operation {found[1]}; start again with the environment variable "
            "PYTORCH_ENABLE_MPS_FALLBACK=1, which computes it on the CPU, or with --accelerator cpu"
        )
    if isinstance(error, TypeError) and "MPS framework doesn't support float64" in said:
        return (
            "Apple's GPU (mps) has no float64, which a measurement or setting of this run needs; start again with "
            "--accelerator cpu"
        )
    return None


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program by `fail` on errors that the user can fix and on Ctrl-C; a defect keeps its traceback.

    >>> with one_line_errors():
    ...     raise BadInput("width is 0")
    Traceback (most recent call last):
    SystemExit: 2

    Raises:
        SystemExit: with the error's status.
    """
    print_any_text()
    try:
        yield
    except KeyboardInterrupt:
        fail("stopped by SIGINT", 130)
    except BrokenPipeError:
        # The reader of the output is gone, as in `| head`. The rest of the output is dropped without another error.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, AttributeError, ValueError):
                os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        raise SystemExit(141) from None
    except Exception as error:
        if (found := status_and_line(error)) is not None:
            status, line = found
            fail(line, status)
        raise
