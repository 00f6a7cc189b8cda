"""The words of a command line as a person types them: answered at once where that needs no torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from gan_convnorm.any_text import print_any_text
from gan_convnorm.cli.command_words import suggestion
from gan_convnorm.cli.flag import FlagTable
from gan_convnorm.cli.flag_help import flag_help
from gan_convnorm.cli.short_flags import is_flag, rewrite, with_hyphens
from gan_convnorm.errors import fail
from gan_convnorm.program_start import is_first

__all__ = ["asks_for_all", "nested_words", "refuse_verb"]

HELP_ALL = "--help-all"


def nested_words(words: Sequence[str], table: FlagTable) -> list[str]:
    """Return the verb, fit where none is given, and its flags by the keys that config.yaml has.

    The help is printed, and an unknown verb or flag of one word refused, without importing torch. Flags with a dot are
    the parser's to judge. Words that this function has returned stay as they are.

    >>> from gan_convnorm.cli.gan_flags import GAN_FLAGS
    >>> nested_words(["--n_dis", "5", "--compile"], GAN_FLAGS)
    ['fit', '--model.optimization.n_dis', '5', '--model.compile_networks=true']

    Args:
        words: after the program's name, and after the word that chooses the table.
        table: the verbs and flags.

    Raises:
        SystemExit: status 0 after the help, 2 after an error line.
    """
    words = list(words)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, "fit")
    verb, *rest = words
    typed = rest[: rest.index("--")] if "--" in rest else rest
    if verb in ("-h", "--help"):
        _print_and_exit("\n".join(flag_help(table, verb) for verb in table.verbs))
    if verb not in table.verbs:
        refuse_verb(verb, table.verbs)
    if {"-h", "--help"} & set(typed):
        _print_and_exit(flag_help(table, verb))
    known = table.keys(verb)
    _check_flags(typed, known)
    return [verb, *rewrite(rest, known, table.switches(verb))]


def asks_for_all(words: Sequence[str]) -> bool:
    """Return True if a verb's words ask for the help with every setting, which the parser writes.

    >>> asks_for_all(["--disc-norm", "none", "--help_all"])
    True
    """
    return HELP_ALL in map(with_hyphens, words)


def refuse_verb(verb: str, known: Iterable[str]) -> NoReturn:
    """End the program with a line that names the verbs, and the nearest to the one that was typed.

    >>> refuse_verb("scor", ["score", "study"])  # with the line: ...; did you mean score?
    Traceback (most recent call last):
    SystemExit: 2
    """
    near = suggestion(f"--{verb}", [f"--{name}" for name in known]).replace("--", "")
    _refuse(f"there is no verb {verb!r}; choose from {', '.join(known)}{near}")


def _refuse(message: str) -> NoReturn:
    """End the program with an error line, written by the first of several processes alone."""
    if not is_first(os.environ):
        raise SystemExit(2)
    print_any_text()
    fail(message)


def _check_flags(words: Sequence[str], known: Mapping[str, str]) -> None:
    for word, following in zip(words, [*words[1:], ""], strict=False):
        flag = with_hyphens(word.partition("=")[0])
        if not is_flag(word) or "." in flag or flag in known or flag == HELP_ALL:
            continue
        value = "" if not following or following.startswith("-") else f" {following}"
        _refuse(f"unrecognized arguments: {word}{value}{suggestion(word, known)}")


def _print_and_exit(text: str) -> NoReturn:
    print(text, end="")
    raise SystemExit(0)
