"""The printed configuration of a plain command line, composed without torch; the parser answers all other ones."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from gan_convnorm.files.plain_yaml import read_yaml

__all__ = ["KINDS", "STORED", "plain_config", "print_plain_config"]

#: the configuration without flags, each data set's section, and the first numbers of the libraries' versions
STORED = Path(__file__).with_name("fit_config.yaml")
#: type of the settings whose default does not show it; None where several types are allowed
KINDS: dict[str, type | None] = {
    "data.init_args.batch_size": int,
    "data.init_args.resolution": int,
    "model.architecture.attention": int,
    "model.optimization.penalty": str,
    "scores.num_fake": int,
    "threads": int,
    "trainer.devices": None,
}
#: values that every setting of their kind takes, and that the parser prints as they are
PLAIN: dict[type | None, re.Pattern[str]] = {
    bool: re.compile(r"true|false"),
    int: re.compile(r"[1-9]\d{0,8}"),
    float: re.compile(r"\d{1,6}\.\d{1,6}"),
    str: re.compile(r"[a-z][a-z0-9_]*([+,][a-z][a-z0-9_]*)*"),
}
#: variables with which a command line means something else: a job that goes on, settings of the parser
VARIABLES = ("SLURM_RESTART_COUNT", "JSONARGPARSE_")


def print_plain_config(words: Sequence[str]) -> None:
    """Print the configuration and end the program, if a command line asks for that in plain words.

    Raises:
        SystemExit: status 0, after the configuration.

    >>> print_plain_config(["fit", "--threads", "2"])  # asks for a run
    """
    if (text := plain_config(words)) is not None:
        print(text, end="")
        raise SystemExit(0)


def plain_config(words: Sequence[str]) -> str | None:
    """Return what the parser prints for a command line, or None where only the parser can say.

    The parser says it of values that may be wrong, of configuration files, checkpoints and your own classes, and where
    the libraries have other versions, with which the stored configuration may differ from the parser's.

    Args:
        words: the verb and its flags by the keys that config.yaml has.

    >>> "disc_norm: layer" in plain_config(["fit", "--model.architecture.disc_norm", "layer", "--print_config"])
    True
    >>> plain_config(["fit", "--model.architecture.width", "-1", "--print_config"])
    """
    if words[0] != "fit" or "--print_config" not in words:
        return None
    if any(name.startswith(VARIABLES) for name in os.environ):
        return None
    stored = read_yaml(STORED.read_text(encoding="utf-8"), str(STORED))
    installed = {name: version(name) for name in stored["versions"]}
    if not all(f"{installed[name]}.".startswith(f"{first}.") for name, first in stored["versions"].items()):
        return None
    config = stored["config"] | {"data": stored["data"]["digits"]}
    chosen = False  # the data set, by its name or by one of its arguments
    for key, value in _settings(words[1:]):
        if key == "data" and value in stored["data"] and not chosen:
            config["data"] = stored["data"][value]
        elif not _set(config, key, value):
            return None
        chosen = chosen or key.partition(".")[0] == "data"
    header = f"# pytorch_lightning=={installed['pytorch-lightning']}\n"
    return header + yaml.safe_dump(config, default_flow_style=False, allow_unicode=True, sort_keys=False)


def _settings(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield keys and values; a word that is neither yields a key that no setting has."""
    rest = iter(words)
    for word in rest:
        if word != "--print_config":
            flag, equals, value = word.partition("=")
            yield flag.removeprefix("--") if flag.startswith("--") else "", value if equals else next(rest, "")


def _set(config: dict[str, Any], key: str, text: str) -> bool:
    """Set a value in a configuration; return False if it is not plain."""
    *sections, name = key.split(".")
    section: Any = config
    for each in sections:
        section = section.get(each) if isinstance(section, dict) else None
    if not isinstance(section, dict) or name not in section:
        return False
    # A data set's other arguments may take a few values alone, such as channels.
    kind = KINDS.get(key, None if sections[:1] == ["data"] else type(section[name]))
    if kind not in PLAIN or PLAIN[kind].fullmatch(text) is None:
        return False
    value = yaml.safe_load(text)
    if type(value) is not kind:  # such as the name "on"
        return False
    section[name] = value
    return True
