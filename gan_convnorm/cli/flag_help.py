"""Help texts of short flags, from those of the nested arguments that they name."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Mapping

__all__ = ["with_short_flags"]

TITLE = "short flags, with the keys that config.yaml has for them:"
#: where argparse begins the help texts
COLUMN = 24
#: colours, which argparse has on a terminal since Python 3.14
COLOUR = re.compile(r"\x1b\[[\d;]*m")


def with_short_flags(text: str, flags: Mapping[str, str], own: Mapping[str, str]) -> str:
    """Return a parser's help with a section of short flags before all others.

    Args:
        text: the parser's help, in argparse's layout.
        flags: short flag -> key of its nested argument, whose entry in `text` it takes the help and default from.
        own: short flag -> help, where the parser has no entry.
    """
    text = COLOUR.sub("", text)
    lines = [TITLE]
    for flag, key in flags.items():
        found = own.get(flag) or _entry(text, key)
        if found is not None:
            lines.append(_laid_out(flag, f"{found} [{key}]"))
    before, options, after = text.partition("\noptions:\n")
    return before + "\n" + "\n".join(lines) + "\n" + options + after if len(lines) > 1 else text


def _entry(text: str, key: str) -> str | None:
    """Return the help of one nested argument on one line, or None."""
    entry = re.search(rf"^  (?:-\w \S+, )?--{re.escape(key)}(?= |$)(.*(?:\n {{8}}.*)*)", text, re.MULTILINE)
    if entry is None:
        return None
    first, *more = entry[1].split("\n")
    # The value's name stands before the help, or on a line of its own.
    return " ".join([*first.strip().split("  ")[1:], *(line.strip() for line in more)]).strip()


def _laid_out(flag: str, text: str) -> str:
    width = max(shutil.get_terminal_size().columns - 2, COLUMN + 20)
    filled = textwrap.fill(
        text, width, initial_indent=" " * COLUMN, subsequent_indent=" " * COLUMN, break_on_hyphens=False
    )
    name = f"  {flag}"
    return name.ljust(COLUMN) + filled[COLUMN:] if len(name) < COLUMN - 1 else f"{name}\n{filled}"
