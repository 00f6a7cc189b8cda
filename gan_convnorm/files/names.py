"""Names of files in messages."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["listed", "shown"]

NAMED = 5  # items in one message


def listed(items: Sequence[str], most: int = NAMED) -> str:
    """Return the first few items and the number of the others.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(map(shown, items[:most])) + more


def shown(path: object) -> str:
    r"""Return a file name that any UTF-8 stream can print: a byte that is not UTF-8 as \xff.

    >>> shown("a\udcff.png")
    'a\\xff.png'
    """
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
