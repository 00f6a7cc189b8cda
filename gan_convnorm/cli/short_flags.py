"""Short flags: names of nested arguments on the command line, such as --steps."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

__all__ = ["rewrite"]

FLAG = re.compile(r"--[A-Za-z][\w.+-]*")
NUMBER = re.compile(r"-[\d.]\S*")


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
    keys = {_with_hyphens(flag): key for flag, key in flags.items()}
    end = words.index("--") if "--" in words else len(words)
    following = [*words[1:end], None][:end]
    return [
        *(_rewritten(word, after, keys, switches) for word, after in zip(words[:end], following, strict=True)),
        *words[end:],
    ]


def _rewritten(word: str, after: str | None, keys: Mapping[str, str], switches: Collection[str]) -> str:
    if word.startswith("-c"):  # -c FILE and -cFILE
        value = word[2:].removeprefix("=")
        return f"--config={value}" if value else "--config"
    flag, equals, value = word.partition("=")
    if FLAG.fullmatch(flag) is None:
        return word
    short = _with_hyphens(flag)
    if short not in keys:  # the constructors' arguments, after the first dot, have underscores
        section, dot, argument = flag.partition(".")
        return section + dot + argument.replace("-", "_") + equals + value
    if short in switches and not equals and (after is None or _is_flag(after)):
        equals, value = "=", "true"
    return f"--{keys[short]}{equals}{value}"


def _with_hyphens(flag: str) -> str:
    return flag.replace("_", "-")


def _is_flag(word: str) -> bool:
    return word.startswith("-") and NUMBER.fullmatch(word) is None
