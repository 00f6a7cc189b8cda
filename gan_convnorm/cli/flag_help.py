"""Help pages of the training verbs, written from their table of flags."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path

from gan_convnorm.cli.flag import Flag, FlagTable

__all__ = ["flag_help", "key_help", "program_name"]

#: where the help texts begin
COLUMN = 28


def flag_help(table: FlagTable, verb: str) -> str:
    """Return the help of a verb: its flags by group, with their defaults.

    Args:
        table: of the program.
        verb: one of its verbs.

    >>> from gan_convnorm.cli.gan_flags import GAN_FLAGS
    >>> "--disc-norm NAME" in flag_help(GAN_FLAGS, "fit")
    True
    """
    words = f"{table.word} {verb}".strip()
    chosen = table.shown.get(verb)
    lines = [f"usage: {program_name(words)} [flags]", "", table.verbs[verb]]
    taken = list(table.of_verb(verb))
    for title, flags in table.groups.items():
        shown = [flag for flag in flags if flag in taken and (chosen is None or flag.name in chosen)]
        if shown:
            lines += ["", f"{title}:", *(_laid_out(_left(flag), flag.help(of_run=verb != "fit")) for flag in shown)]
    return "\n".join([*lines, "", f"{words} --help-all lists every setting, with its key of config.yaml.", ""])


def key_help(table: FlagTable, verb: str) -> str:
    """Return the help of every flag that a verb takes, with its key of config.yaml.

    >>> from gan_convnorm.cli.gan_flags import GAN_FLAGS
    >>> "[model.architecture.disc_norm]" in " ".join(key_help(GAN_FLAGS, "fit").split())
    True
    """
    lines = ["short flags, with the keys that config.yaml has for them:"]
    flags = table.of_verb(verb)
    return "\n".join([*lines, *(_laid_out(_left(flag), f"{flag.help()} [{flag.key}]") for flag in flags), ""])


def program_name(word: str = "") -> str:
    """Return how the program was started: by its name, or as a module.

    Args:
        word: the program's first word, such as "classify".

    >>> program_name("classify").endswith("classify")
    True
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.name == f"{spec.parent}.__main__":
        return f"python -m {spec.parent} {word}".strip()
    return f"{Path(sys.argv[0]).name} {word}".strip()


def _left(flag: Flag) -> str:
    return f"{flag.name} {flag.value}".strip()


def _laid_out(left: str, right: str) -> str:
    width = max(shutil.get_terminal_size().columns - 2, COLUMN + 20)
    indent = " " * COLUMN
    filled = textwrap.fill(right, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    left = f"  {left}"
    return left.ljust(COLUMN) + filled[COLUMN:] if len(left) < COLUMN - 1 else f"{left}\n{filled}"
