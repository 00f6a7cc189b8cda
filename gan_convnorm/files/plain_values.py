"""Plain values read from a file, checked before anything is built from them."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, Literal, get_args, get_origin

from gan_convnorm.errors import BadInput

__all__ = ["check_arguments", "flattened", "is_plain"]

DEPTH = 8
TEXT = 4096  # characters


def is_plain(value: object, depth: int = DEPTH) -> bool:
    """Return True for a value made of None, bool, int, finite float, short text, lists and dicts with text keys.

    >>> is_plain({"lr": [2e-4, None]}), is_plain(float("nan")), is_plain({1: "a"})
    (True, False, False)
    """
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return len(value) <= TEXT
    if value is None or isinstance(value, (bool, int)):
        return True
    if depth and isinstance(value, (list, tuple)):
        return all(is_plain(part, depth - 1) for part in value)
    if depth and isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(part, depth - 1) for key, part in value.items())
    return False


def check_arguments(function: Callable[..., Any], values: object, source: object) -> dict[str, Any]:
    """Return the keyword arguments for a function, after checking that it has such arguments of such types.

    >>> def build(width: int, name: str = "") -> None: ...
    >>> check_arguments(build, {"width": 3}, "the settings")
    {'width': 3}
    >>> check_arguments(build, {"width": "wide"}, "the settings")
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: the settings have width 'wide'; expected a whole number

    Args:
        function: a function or class whose parameters are annotated; a dataclass among them takes a dict of its fields.
        values: the arguments by name.
        source: where they come from, for the message.

    Raises:
        BadInput: not a dict; an argument that the function does not have, or lacks; a value of another type.
    """
    if not isinstance(values, dict):
        raise BadInput(f"{source} are {_shown(values)}; expected plain values by name")
    if (odd := _first_odd(values)) is not None:
        raise BadInput(
            f"{source} have {odd[0]} {_shown(odd[1])}; expected plain values by name, finite and not too deep"
        )
    target = function.__init__ if inspect.isclass(function) else function
    parameters = inspect.signature(function).parameters
    try:
        annotations = typing.get_type_hints(target)
    except NameError:  # a user's class, whose annotations are only imported for type checkers
        annotations = {}
    for name, value in values.items():
        if name not in parameters:
            raise BadInput(f"{source} have {name[:60]!r}, which this version does not know")
        if name in annotations and not _fits(value, annotations[name]):
            raise BadInput(f"{source} have {name} {_shown(value)}; expected {_words(annotations[name])}")
        if is_dataclass(annotations.get(name)):
            check_arguments(annotations[name], value, source)
    needed = [
        name
        for name, p in parameters.items()
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    missing = [name for name in needed if name not in values]
    if missing:
        raise BadInput(f"{source} lack {', '.join(missing)}")
    return values


def _first_odd(values: dict[Any, Any], above: str = "") -> tuple[str, Any] | None:
    """Return the first value that is not plain, by its dotted name."""
    for name, value in values.items():
        if isinstance(value, dict) and not is_plain(value) and above.count(".") < DEPTH:
            return _first_odd(value, f"{above}{str(name)[:40]}.")
        if not isinstance(name, str) or not is_plain(value):
            return f"{above}{str(name)[:40]}", value
    return None


def _fits(value: object, annotation: object) -> bool:
    origin = get_origin(annotation)
    if annotation is Any:
        return True
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, each) for each in get_args(annotation))
    if origin is Literal:
        return value in get_args(annotation)
    if is_dataclass(annotation):
        return isinstance(value, dict)
    if annotation is None or annotation is type(None):
        return value is None
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin in (list, tuple):
        inner = get_args(annotation)[0] if get_args(annotation) else Any
        return isinstance(value, (list, tuple)) and all(_fits(each, inner) for each in value)
    kind: Any = origin or annotation
    return isinstance(value, kind)


def _words(annotation: object) -> str:
    if get_origin(annotation) in (types.UnionType, typing.Union):
        return " or ".join(map(_words, get_args(annotation)))
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, get_args(annotation)))
    if is_dataclass(annotation):
        return "settings by name"
    names: dict[object, str] = {
        int: "a whole number",
        float: "a number",
        str: "a text",
        bool: "true or false",
        type(None): "null",
    }
    return names.get(annotation, str(getattr(annotation, "__name__", annotation)))


def _shown(value: object) -> str:
    text = repr(value) if is_plain(value) or isinstance(value, float) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def flattened(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values by their dotted names.

    >>> flattened({"model": {"width": 0.5}, "seed": 0})
    {'model.width': 0.5, 'seed': 0}
    """
    flat: dict[str, Any] = {}
    for key, inner in values.items():
        if isinstance(inner, dict) and inner:
            flat |= flattened(inner, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = inner
    return flat
