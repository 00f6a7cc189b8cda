"""Values and near spellings of flags on a command line, before a parser reads it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

__all__ = ["suggestion", "values_of"]


def values_of(words: Sequence[str], *flags: str) -> list[str]:
    """Return the values that flags are given, in order, from "--flag value" and "--flag=value".

    >>> values_of(["--out", "a", "--out=b", "--outer", "c"], "--out")
    ['a', 'b']
    """
    found = []
    for word, following in zip(words, [*words[1:], ""], strict=False):
        flag, equals, value = word.partition("=")
        if flag in flags:
            found.append(value if equals else following)
    return found


def suggestion(message: str, known: Collection[str]) -> str:
    """Return "; did you mean --flag?" for the first unknown flag in a message, or "" when none is near.

    >>> suggestion("unrecognized arguments: --stpes 5", ["--steps", "--seed"])
    '; did you mean --steps?'
    """
    flag = next((word for word in message.split() if word.startswith("--")), "").partition("=")[0]
    near = difflib.get_close_matches(flag, known, 1, 0.7) if flag else []
    return f"; did you mean {near[0]}?" if near else ""
