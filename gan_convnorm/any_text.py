"""Standard streams that print any text, whatever the locale."""

from __future__ import annotations

import codecs
import sys

__all__ = ["print_any_text"]

HANDLER = "gan_convnorm.print_any_text"


def print_any_text() -> None:
    """Let standard output and standard error print characters that their encoding lacks.

    A file name is printed byte by byte, also where it is not text in the locale. Any other such character, as in a
    progress bar, is printed as a question mark. By default the first one would end the program with an error.

    >>> import contextlib, io
    >>> stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    >>> with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
    ...     print_any_text()
    ...     print("40% █", end="", flush=True)
    >>> stream.buffer.getvalue()
    b'40% ?'
    """
    codecs.register_error(HANDLER, _printable)
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors=HANDLER)


def _printable(error: UnicodeError) -> tuple[str | bytes, int]:
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("replace")(error)
