"""about.json: the command of a run, its date, its data, and the flags that differ from the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from gan_convnorm.files.plain_json import read_json
from gan_convnorm.report.flag_names import flag_name

__all__ = ["ABOUT", "changed_flags", "read_about"]

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
    given, usual = (_flat(yaml.safe_load(text) or {}) for text in (config, defaults))
    changed = {key: value for key, value in given.items() if key not in OMITTED and usual.get(key) != value}
    return {flag_name(key): "null" if value is None else str(value) for key, value in changed.items()}


def read_about(folder: Path) -> dict[str, Any]:
    """Return the content of about.json; empty without the file, and values of other types left out.

    >>> read_about(Path("no such folder"))
    {}
    """
    path = folder / ABOUT
    found = read_json(path.read_text(encoding="utf-8"), str(path)) if path.is_file() and not path.is_symlink() else {}
    about = found if isinstance(found, dict) else {}
    texts: dict[str, Any] = {key: value for key, value in about.items() if isinstance(value, str | int)}
    changed = about.get("changed")
    if isinstance(changed, dict):
        texts["changed"] = {str(key): str(value) for key, value in changed.items()}
    return texts


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            flat |= _flat(inner, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = inner
    return flat
