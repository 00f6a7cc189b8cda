"""Values and near spellings of flags on a command line, before a parser reads it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

__all__ = ["setting_words", "suggestion", "values_of"]

#: flags of a run that say where its files are, what it trusts and how fast it is, and are not settings of it: the files
#: are taken for the same ones elsewhere
PLACES = ("--data.path", "--data.root", "--data.labels", "--scores.extractor-weights", "--trust", "--threads")


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


def setting_words(words: Sequence[str]) -> list[str]:
    """Return a run's words without those that say where its files are, each spelling of a flag alike.

    >>> setting_words(["--n_dis=2", "--data.path", "photos", "--steps", "9"])
    ['--n-dis', '2', '--steps', '9']
    """
    found: list[str] = []
    for word in words:
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            found += [flag.replace("_", "-"), *([value] if equals else [])]
        else:
            found.append(word)
    places = [i for i, word in enumerate(found) if word in PLACES]
    return [word for i, word in enumerate(found) if i not in places and i - 1 not in places]


#: flags of other programs -> those here
OTHER_NAMES = {
    "--lr": ["--gen-lr", "--disc-lr"],
    "--learning-rate": ["--gen-lr", "--disc-lr"],
    "--epochs": ["--steps"],
    "--iterations": ["--steps"],
    "--gpus": ["--devices"],
    "--dataset": ["--data"],
    "--norm": ["--disc-norm"],
}


def suggestion(message: str, known: Collection[str]) -> str:
    """Return "; did you mean --flag?" for the first unknown flag in a message, or "" when none is near.

    >>> suggestion("unrecognized arguments: --stpes 5", ["--steps", "--seed"])
    '; did you mean --steps?'
    >>> suggestion("unrecognized arguments: --lr 0.1", ["--gen-lr", "--disc-lr"])
    '; did you mean --gen-lr and --disc-lr?'
    """
    flag = next((word for word in message.split() if word.startswith("--")), "").partition("=")[0]
    near = difflib.get_close_matches(flag, known, 1, 0.7) if flag else []
    usual = OTHER_NAMES.get(flag.replace("_", "-"), [])
    found = " and ".join(usual if set(usual) <= set(known) and usual else near)
    return f"; did you mean {found}?" if found else ""
