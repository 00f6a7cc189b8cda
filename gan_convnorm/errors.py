"""The one exception for what a person can put right."""

from __future__ import annotations

__all__ = ["BadInput"]


class BadInput(ValueError):  # noqa: N818 - the input is at fault, and the name says so
    """A file, flag, shape or checkpoint that cannot be used.

    The message is one line: what was found, what was expected, what to do. The command line prints it and exits
    with status 2; every other exception is a defect of ours and keeps its traceback.
    """
