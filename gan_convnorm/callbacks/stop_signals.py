"""How a program is asked to stop: by a signal, or by the reader of its output going away."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

__all__ = ["listen", "reason", "stop_signals"]

Receiver = Callable[[signal.Signals], None]

#: of nested `listen`; only the newest is called
_receivers: list[Receiver] = []


def listen(receiver: Receiver) -> Callable[[], None]:
    """Tell `receiver` of Ctrl-C, SIGTERM, SIGHUP, in a SLURM job SIGUSR1, and of a reader that is gone, as SIGPIPE.

    A second signal of the same kind ends the process at once. Signals that were ignored, as by nohup, still are.

    >>> told = []
    >>> restore = listen(told.append)
    >>> signal.raise_signal(signal.SIGTERM)  # as kill does
    >>> restore()
    >>> told[0].name
    'SIGTERM'

    Args:
        receiver: called from within whatever the main thread does.

    Returns:
        A function that makes everything what it was before.
    """
    before: dict[int, Any] = {}
    _receivers.append(receiver)
    for number in _stopping():
        if signal.getsignal(number) is not signal.SIG_IGN:
            try:
                before[number] = signal.signal(number, _handle)
            except ValueError:  # not the main thread, which alone may set handlers
                break

    def restore() -> None:
        if receiver in _receivers:
            _receivers.remove(receiver)
            for number, handler in before.items():
                signal.signal(number, handler)

    return restore


def reason(number: signal.Signals) -> str:
    """Return why a program stops, for a line that begins with "stopped".

    >>> f"stopped {reason(signal.SIGTERM)}"
    'stopped by SIGTERM'
    """
    return "as its output has no reader (SIGPIPE)" if number.name == "SIGPIPE" else f"by {number.name}"


def _stopping() -> list[signal.Signals]:
    names = ["SIGINT", "SIGTERM", "SIGHUP", *(["SIGUSR1"] if "SLURM_JOB_ID" in os.environ else [])]
    return [getattr(signal, name) for name in names if hasattr(signal, name)]  # Windows has two of them


def _handle(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)
    _receivers[-1](signal.Signals(number))


@contextlib.contextmanager
def stop_signals(
    tell: Callable[[str], None], then: Callable[[signal.Signals], str | None] = lambda number: None
) -> Iterator[None]:
    """End the program with one line when a signal arrives inside the block.

    A run that has to finish its step first uses `listen` instead.

    >>> told = []
    >>> with contextlib.suppress(SystemExit), stop_signals(told.append):
    ...     signal.raise_signal(signal.SIGTERM)  # as kill does
    >>> told
    ['stopped by SIGTERM; go on with --resume last if there is a checkpoint, otherwise start again']

    Args:
        tell: prints the line.
        then: returns what the user should do after a signal; None for the usual advice.

    SystemExit, with 128 and the signal's number as its status, is raised wherever the main thread is: it alone passes
    through every `except Exception` on the way.
    """

    def receive(number: signal.Signals) -> None:
        usual = "go on with --resume last if there is a checkpoint, otherwise start again"
        tell(f"stopped {reason(number)}; {then(number) or usual}")
        raise SystemExit(128 + number)

    _open_closed_streams()
    restore = listen(receive)
    output = sys.stdout
    if output is not None:
        sys.stdout = _Output(output)
    try:
        yield
    finally:
        if isinstance(sys.stdout, _Output):
            sys.stdout = output
        restore()


class _Output:
    """Standard output whose reader may go away, as in `train_gan.py | head`, or whose locale lacks a character.

    A reader that is gone is told to the receiver, and the rest is dropped. A character that is missing is a "?".
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:  # a locale without the progress bar's characters
            encoding = self._stream.encoding
            return self.write(text.encode(encoding, "replace").decode(encoding))
        except BrokenPipeError:
            self._gone()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._gone()

    def _gone(self) -> None:
        # What the stream still holds, and the interpreter flushes at its end, goes where it meets no error.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        if _receivers and hasattr(signal, "SIGPIPE"):
            _receivers[-1](signal.SIGPIPE)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _open_closed_streams() -> None:
    """Open closed standard streams on nothing: the next file would get the number, and a child's output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
