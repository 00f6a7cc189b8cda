"""The words of a command line before a parser reads them: spelling, and the flags that decide what to parse."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

__all__ = ["suggestion", "values_of", "with_known_spelling"]


def with_known_spelling(words: Sequence[str], known: Collection[str]) -> list[str]:
    """Return the words with every flag spelled as the parser has it: hyphens and underscores are the same.

    Args:
        words: of the command line.
        known: the parser's flags, such as "--disc-norm" and "--ckpt_path".
    """
    spelled = {flag.replace("_", "-"): flag for flag in known}

    def correct(word: str) -> str:
        if word.startswith("-c") and len(word) > 2:  # as in -cFILE
            return "--config=" + word[2:].removeprefix("=")
        flag, equals, value = word.partition("=")
        if not flag.startswith("--") or flag in known:
            return word
        name, dot, rest = flag.partition(".")
        if dot:  # arguments of Python functions have underscores
            return name + dot + rest.replace("-", "_") + equals + value
        return spelled.get(flag.replace("_", "-"), flag) + equals + value

    return [correct(word) for word in words]


def values_of(words: Sequence[str], *flags: str) -> list[str]:
    """Return the values that flags are given, in order, from "--flag value" and "--flag=value"."""
    found = []
    for word, following in zip(words, [*words[1:], ""], strict=True):
        flag, equals, value = word.partition("=")
        if flag in flags:
            found.append(value if equals else following)
    return found


def suggestion(message: str, known: Collection[str]) -> str:
    """Return "; did you mean --flag?" for the first unknown flag in a message, or "" when none is near."""
    flag = next((word for word in message.split() if word.startswith("--")), "").partition("=")[0]
    near = difflib.get_close_matches(flag, known, 1, 0.7) if flag else []
    return f"; did you mean {near[0]}?" if near else ""
