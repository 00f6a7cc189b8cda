"""The state of a Python process that a program changes, for callers that run the program within their own process."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator

from gan_convnorm.program_start import is_program

__all__ = ["importing_libraries", "unchanged_process"]


@contextlib.contextmanager
def importing_libraries() -> Iterator[None]:
    """Pause the garbage collector for a block that imports large libraries: they make many objects and no garbage.

    The collector would search all of them again and again. A program of this package excludes them from later searches
    too: the search at the end of the process takes a second, and the process is about to free everything anyway.

    >>> with importing_libraries():
    ...     gc.isenabled()
    False
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_program(sys.orig_argv):  # a caller's process may have garbage of its own
            gc.freeze()
        if before:
            gc.enable()


@contextlib.contextmanager
def unchanged_process() -> Iterator[None]:
    """Restore, after the block, whatever a run sets for the whole process.

    These are the environment, signal handlers, warnings, levels and handlers of loggers, the standard streams and the
    number of torch's threads. Random generators go on from where the run leaves them.

    >>> with unchanged_process():
    ...     os.environ["OMP_NUM_THREADS"] = "7"
    >>> os.environ.get("OMP_NUM_THREADS") == "7"
    False
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        for each in (_formatwarning, _environment, _signal_handlers, _loggers, _streams, _torch_threads):
            stack.enter_context(contextlib.contextmanager(each)())
        yield


def _formatwarning() -> Iterator[None]:
    before = warnings.formatwarning
    try:
        yield
    finally:
        warnings.formatwarning = before


def _environment() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _signal_handlers() -> Iterator[None]:
    mine = threading.current_thread() is threading.main_thread()  # which alone may set handlers
    before = {number: signal.getsignal(number) for number in signal.valid_signals()} if mine else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) != handler:  # None: not set from Python
                signal.signal(number, handler)


def _loggers() -> Iterator[None]:
    known = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    before = [(each, each.level, list(each.handlers)) for each in known]
    try:
        yield
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers[:] = handlers


def _streams() -> Iterator[None]:
    before = [(name, getattr(sys, name)) for name in ("stdout", "stderr")]
    errors = [(stream, getattr(stream, "errors", None)) for _, stream in before]
    try:
        yield
    finally:
        for name, stream in before:
            setattr(sys, name, stream)
        for stream, handling in errors:
            if handling is not None and hasattr(stream, "reconfigure"):
                with contextlib.suppress(ValueError):  # closed meanwhile
                    stream.reconfigure(errors=handling)


def _torch_threads() -> Iterator[None]:
    """Restore torch's number of threads, if torch was loaded before: its own is not known otherwise."""
    before = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None
    try:
        yield
    finally:
        if before is not None:
            sys.modules["torch"].set_num_threads(before)
