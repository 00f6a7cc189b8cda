"""Short flags: names of nested arguments on the command line, such as --steps."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

__all__ = ["hyphenated", "is_flag", "rewrite", "with_hyphens"]

FLAG = re.compile(r"--[A-Za-z][\w.+-]*")
NUMBER = re.compile(r"-[\d.]\S*")
#: numbers with commas, of which the first is below 0; the parser takes it for a flag, and -1 alone for a value
NEGATIVE_LIST = re.compile(r"-[\d.][^,\s]*,\S*")


def rewrite(words: Sequence[str], flags: Mapping[str, str], switches: Collection[str] = ()) -> list[str]:
    """Return a command line whose short flags are replaced by their nested arguments.

    Hyphens and underscores in a flag are the same. Values, unknown flags and the words after "--" stay as they are.

    >>> rewrite(["--n_dis", "5", "--compile"], {"--n-dis": "model.n_dis", "--compile": "model.compile"}, ["--compile"])
    ['--model.n_dis', '5', '--model.compile=true']

    Args:
        words: the command line.
        flags: short flag -> key of the nested argument in config.yaml.
        switches: flags that mean true where no value follows.
    """
    words = _joined(words)
    keys = {with_hyphens(flag): key for flag, key in flags.items()}
    end = words.index("--") if "--" in words else len(words)
    following = [*words[1:end], None][:end]
    return [
        *(_rewritten(word, after, keys, switches) for word, after in zip(words[:end], following, strict=True)),
        *words[end:],
    ]


def _joined(words: Sequence[str]) -> list[str]:
    joined: list[str] = []
    for word in words:
        if joined and is_flag(joined[-1]) and "=" not in joined[-1] and NEGATIVE_LIST.fullmatch(word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _rewritten(word: str, after: str | None, keys: Mapping[str, str], switches: Collection[str]) -> str:
    if word.startswith("-c"):  # -c FILE and -cFILE
        value = word[2:].removeprefix("=")
        return f"--config={value}" if value else "--config"
    if not is_flag(word):
        return word
    flag, equals, value = word.partition("=")
    short = with_hyphens(flag)
    if short not in keys:  # the constructors' arguments, after the first dot, have underscores
        section, dot, argument = flag.partition(".")
        return section + dot + argument.replace("-", "_") + equals + value
    if short in switches and not equals and (after is None or _begins_flag(after)):
        equals, value = "=", "true"
    return f"--{keys[short]}{equals}{value}"


def hyphenated(words: Sequence[str]) -> list[str]:
    """Return a command line whose flags have hyphens for underscores; values and the words after "--" stay.

    >>> hyphenated(["--num_fake=5", "a_b", "--", "--n_dis"])
    ['--num-fake=5', 'a_b', '--', '--n_dis']
    """
    end = words.index("--") if "--" in words else len(words)
    split = [word.partition("=") if is_flag(word) else ("", word, "") for word in words[:end]]
    return ["".join((with_hyphens(flag), *rest)) for flag, *rest in split] + list(words[end:])


def with_hyphens(flag: str) -> str:
    """Return a flag with hyphens for underscores.

    >>> with_hyphens("--n_dis")
    '--n-dis'
    """
    return flag.replace("_", "-")


def is_flag(word: str) -> bool:
    """Return True if a word is a long flag, with or without a value after an equals sign.

    >>> is_flag("--steps=5"), is_flag("-5"), is_flag("steps")
    (True, False, False)
    """
    return FLAG.fullmatch(word.partition("=")[0]) is not None


def _begins_flag(word: str) -> bool:
    return word.startswith("-") and NUMBER.fullmatch(word) is None
