"""The exceptions that are one line to a person."""

from __future__ import annotations

__all__ = ["NOT_FINITE", "BadInput", "RunStopped"]

#: exit status of a run whose losses or weights are no numbers any more
NOT_FINITE = 3


class BadInput(ValueError):  # noqa: N818 - the input is at fault, and the name says so
    """A file, flag, shape or checkpoint that cannot be used.

    The message is one line: what was found, what was expected, what to do. The command line prints it and exits
    with status 2. What is neither this nor `RunStopped` is a defect of ours and keeps its traceback.
    """


class RunStopped(RuntimeError):  # noqa: N818 - no defect
    """A run that cannot or must not go on: a signal, weights that are no numbers, a process that is gone, a full disk.

    The message is one line: what happened, where, and how the run goes on. The command line prints it and exits with
    the status.

    Args:
        message: the line.
        status: the command's exit status; by custom 128 and the number for a signal.
    """

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
