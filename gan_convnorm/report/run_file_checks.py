"""The types of the values in a run folder's files, checked before a page shows them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NoReturn

from gan_convnorm.errors import BadInput
from gan_convnorm.score_table import LARGEST_NUMBER

__all__ = ["check_names", "check_singular_values", "check_summary", "kind"]


def check_summary(summary: dict[str, Any], path: Path) -> None:
    """Check the types of the values of summary.json that a page shows; raise `BadInput` for another one.

    >>> check_summary({"seconds": "fast"}, Path("summary.json"))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: summary.json: seconds is 'fast'; expected a number of 0 or more
    """
    for key in ("seconds", "cpu_seconds", "g_steps"):
        if summary.get(key) is not None and not _is_amount(summary[key]):
            _refuse(path, key, summary[key], "a number of 0 or more")
    if isinstance(summary.get("g_steps"), float):
        _refuse(path, "g_steps", summary["g_steps"], "a whole number")
    if not isinstance(summary.get("commit"), str | None):
        _refuse(path, "commit", summary["commit"], "text")
    final = _mapping(summary, "final", path)
    for mapping, key in ((summary, "protocol"), (final, "protocol"), (summary, "versions")):
        for name, value in _mapping(mapping, key, path).items():
            if isinstance(value, dict | list):
                _refuse(path, f"{key}.{name}", value, "a number or text")
    for name, value in _mapping(final, "values", path).items():
        if not _is_number(value):
            _refuse(path, f"final.values.{name}", value, "a number")
    times = summary.get("times") or []
    if not isinstance(times, list):
        _refuse(path, "times", times, "a list")
    for time in times:
        if not isinstance(time, dict) or not all(map(_is_amount, time.values())) or "step" not in time:
            _refuse(path, "times", time, "numbers by name, a step among them")


def check_singular_values(content: dict[str, Any], path: Path) -> None:
    """Check that singular_values.json has lists of numbers by layer; raise `BadInput` if it has not.

    >>> check_singular_values({"layers": {"conv": {"after": 1.0}}}, Path("singular_values.json"))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: singular_values.json: layers.conv.after is 1.0; expected a list of numbers
    """
    for name, layer in _mapping(content, "layers", path).items():
        if not isinstance(layer, dict):
            _refuse(path, f"layers.{name}", layer, "a mapping")
        for side in ("before", "after"):
            values = layer.get(side)
            if values is not None and not (isinstance(values, list) and all(map(_is_number, values))):
                _refuse(path, f"layers.{name}.{side}", values, "a list of numbers")


def _mapping(content: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    value = content.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        _refuse(path, key, value, "a mapping")
    return value


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return not LARGEST_NUMBER < abs(value) < math.inf
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and _is_number(value) and math.isfinite(value) and value >= 0


def _refuse(path: Path, key: str, value: object, expected: str) -> NoReturn:
    raise BadInput(f"{path}: {key[:80]} is {kind(value)}; expected {expected}")


def kind(value: object) -> str:
    """Return the words of a message for a value of the wrong type.

    >>> kind([1, 2]), kind(None), kind("fast")
    ('a list', 'nothing', "'fast'")
    """
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return "nothing" if value is None else repr(value)[:60]


def check_names(value: object, path: Path) -> None:
    """Check the keys of the mappings within a configuration.

    Raises:
        BadInput: one is not text.

    >>> check_names({"model": {1: 2}}, Path("config.yaml"))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: config.yaml has the key 1, which is no text; expected names
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise BadInput(f"{path} has the key {key!r:.60}, which is no text; expected names")
            check_names(inner, path)
    elif isinstance(value, list):
        for inner in value:
            check_names(inner, path)
