"""about.json: the commands of a run, their dates, its data, and the flags that differ from the defaults."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import yaml

from gan_convnorm.files.plain_json import read_json
from gan_convnorm.files.plain_values import flattened
from gan_convnorm.files.text import read_text
from gan_convnorm.report.flag_names import flag_name

__all__ = ["ABOUT", "argument_defaults", "changed_flags", "continue_about", "read_about"]

ABOUT = "about.json"
#: settings that say where a run writes or which seed it has, and keys that follow from others
OMITTED = ("trainer.default_root_dir", "ckpt_path", "trust", "data.init_args.seed", "config")


def changed_flags(config: str, defaults: str) -> dict[str, str]:
    """Return the flags whose values differ from the defaults.

    Args:
        config: of a run, YAML.
        defaults: the command's, YAML. A key that it lacks has no default and counts as changed.

    >>> changed_flags("model: {optimization: {steps: 5, n_dis: 1}}", "model: {optimization: {steps: 9, n_dis: 1}}")
    {'--steps': '5'}
    """
    given, usual = (flattened(yaml.safe_load(text) or {}) for text in (config, defaults))
    changed = {key: value for key, value in given.items() if key not in OMITTED and usual.get(key) != value}
    return {flag_name(key): "null" if value is None else str(value) for key, value in changed.items()}


def argument_defaults(made: type) -> dict[str, Any]:
    """Return the default values of a class's arguments by name; an argument without one is left out.

    >>> class Data:
    ...     def __init__(self, path, resolution=32): ...
    >>> argument_defaults(Data)
    {'resolution': 32}
    """
    arguments = inspect.signature(made).parameters.values()
    return {each.name: each.default for each in arguments if each.default is not each.empty}


def continue_about(first: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a resumed run: its first command and date, the later ones in "resumed", the rest of now.

    Args:
        first: the record so far, as `read_about` gives it; empty for a new run, whose record is `now`.
        now: the record of this command.

    >>> first = {"command": "train", "started": "Monday"}
    >>> continue_about(first, {"command": "train --resume last", "started": "Tuesday"})["resumed"]
    [{'command': 'train --resume last', 'started': 'Tuesday'}]
    """
    if not first:
        return now
    kept: dict[str, Any] = {name: first[name] for name in ("command", "started") if name in first}
    later: dict[str, Any] = {name: now[name] for name in ("command", "started")}
    return {**now, **kept, "resumed": [*first.get("resumed", []), later]}


def read_about(folder: Path) -> dict[str, Any]:
    """Return the content of about.json; empty without the file, and values of other types left out.

    >>> read_about(Path("no such folder"))
    {}
    """
    path = folder / ABOUT
    found = (
        read_json(read_text(path, "the about.json of a run"), str(path))
        if path.is_file() and not path.is_symlink()
        else {}
    )
    about = found if isinstance(found, dict) else {}
    texts: dict[str, Any] = {key: value for key, value in about.items() if isinstance(value, str | int)}
    changed = about.get("changed")
    if isinstance(changed, dict):
        texts["changed"] = {str(key): str(value) for key, value in changed.items()}
    resumed = about.get("resumed")
    if isinstance(resumed, list):
        names = ("command", "started")
        found = [each for each in resumed if isinstance(each, dict)]
        texts["resumed"] = [{name: str(each[name]) for name in names if name in each} for each in found]
    return texts
