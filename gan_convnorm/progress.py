"""How far a long task is: a bar on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import TextIO

from rich import progress as rich_progress
from rich.console import Console

from gan_convnorm.program_start import is_first

__all__ = ["Progress"]

#: seconds between two plain lines
EVERY = 30.0


class Progress:
    """Progress of one task, written by the first of several processes alone.

    On a terminal it is a bar, gone when the task ends. Elsewhere it is a line every 30 seconds, so a short task writes
    nothing.

    Args:
        label: the task, such as "scoring".
        unit: plural of the things that are counted, such as "images".
        total: how many there are; None where it is not known yet.
        stream: where to write; by default standard error.

    >>> with Progress("counting", "things", total=2) as progress:
    ...     progress.update(1)
    """

    def __init__(self, label: str, unit: str, total: int | None = None, stream: TextIO | None = None) -> None:
        self.label, self.unit, self.total = label, unit, total
        self.stream = sys.stderr if stream is None else stream
        self.told: float | None = None
        self.first = is_first(os.environ)
        self.bar: rich_progress.Progress | None = None
        if self.first and self.stream is not None and self.stream.isatty():
            self.bar = rich_progress.Progress(
                rich_progress.TextColumn("{task.description}", markup=False),
                rich_progress.BarColumn(),
                rich_progress.MofNCompleteColumn(),
                rich_progress.TextColumn(unit, markup=False),
                rich_progress.TimeRemainingColumn(),
                console=Console(file=self.stream),
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self.task = self.bar.add_task(label, total=total)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def update(self, done: int, total: int | None = None) -> None:
        """Show that `done` things are done, of `total` from now on."""
        self.total = self.total if total is None else total
        if self.bar is not None:
            self.bar.start()  # now, so that another task may show its own bar before; again, it does nothing
            self.bar.update(self.task, completed=done, total=self.total)
            return
        now = time.monotonic()
        # Counted from the first call: a task may be prepared for long, such as scores by the training of a classifier.
        self.told = now if self.told is None else self.told
        if self.first and self.stream is not None and now - self.told >= EVERY:
            self.told = now
            of = f" of {self.total}" if self.total is not None else ""
            print(f"{self.label}: {done}{of} {self.unit}", file=self.stream, flush=True)

    def print(self, line: str) -> None:
        """Write a line to the stream, above the bar where there is one."""
        if self.bar is not None:
            self.bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self.stream, flush=True)
