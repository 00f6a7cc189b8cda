"""Names of files in messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["listed", "shown"]

NAMED = 5  # items in one message


def listed(items: Sequence[str], most: int = NAMED) -> str:
    """Return the first few, and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(map(shown, items[:most])) + more


def shown(path: Any) -> str:
    r"""Return a file name that any UTF-8 stream can print: a byte that is not UTF-8 as \xff."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
