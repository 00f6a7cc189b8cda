"""Configuration files that a person gives with --config, read before the parser reads them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gan_convnorm.cli.command_words import values_of
from gan_convnorm.errors import BadInput
from gan_convnorm.files.plain_yaml import read_yaml
from gan_convnorm.files.text import read_text

__all__ = ["given_values", "read_configurations"]

#: parts of a configuration
SECTIONS = ("model", "data", "trainer", "scores", "split", "evaluation")


def read_configurations(words: Sequence[str]) -> list[dict[str, Any]]:
    """Return the content of every --config file among the words, and of the files that a section was given as.

    Errors name the file, which jsonargparse's do not.

    A file that is not there, is not YAML or has another form raises `BadInput`.

    >>> read_configurations(["--config", "none.yaml"])
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: there is no ...none.yaml...
    """
    parts = [
        {section: _mapping(Path(name))}
        for section in SECTIONS
        for name in values_of(words, f"--{section}")
        # The parser reads a section from a file of its own; a name that is too long is no error here.
        if os.path.exists(name)  # noqa: PTH110
    ]
    return [*(_configuration(Path(name)) for name in values_of(words, "--config")), *parts]


def given_values(words: Sequence[str], files: Iterable[dict[str, Any]], key: str) -> list[str]:
    """Return every value that a person gives one setting, in files and then on the command line.

    >>> given_values(["--model.steps", "5"], [{"model": {"steps": 3}}], "model.steps")
    ['3', '5']

    Args:
        words: the command line, without short flags.
        files: content of the configuration files.
        key: the setting, such as "ckpt_path" or "trainer.default_root_dir".
    """
    found = [str(value) for file in files if (value := _entry(file, key)) is not None]
    return found + values_of(words, f"--{key}")


def _entry(content: object, key: str) -> object:
    for name in key.split("."):
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _configuration(path: Path) -> dict[str, Any]:
    content = _mapping(path)
    if "config" in content or "grids" in content:
        raise BadInput(f"{path} is no configuration of a run; a study's file is for the verb study")
    for name in SECTIONS:
        if name in content and not isinstance(content[name], dict):
            raise BadInput(f"{path} has {name}: {content[name]!r:.60}; expected a mapping with the settings of {name}")
    return content


def _mapping(path: Path) -> dict[str, Any]:
    if path == Path():
        raise BadInput("--config is empty; give a YAML file")
    content = read_yaml(read_text(path, "a configuration file"), str(path))
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds {content!r:.60}; expected a mapping with keys such as model, data and trainer")
    return content
