"""Constructor arguments for which the parser would import a class that a text names."""

from __future__ import annotations

import enum
import inspect
import os
import typing
from typing import Any, Literal, get_args, get_origin

__all__ = ["class_arguments"]

PLAIN = (bool, int, float, str, bytes, type(None), list, tuple, set, dict, enum.Enum, os.PathLike)


def class_arguments(kind: type) -> set[str]:
    """Return the names of a constructor's arguments whose annotation has a class that is no plain value's.

    Arguments that a constructor passes on by **kwargs are those of its base classes.

    >>> class Photos:
    ...     def __init__(self, path: str | os.PathLike[str], loader: inspect.Signature | None = None): ...
    >>> class Mine(Photos):
    ...     def __init__(self, *, weights: list[float] | None = None, **kwargs): ...
    >>> class_arguments(Mine)
    {'loader'}
    """
    found: set[str] = set()
    for base in kind.__mro__:
        function = vars(base).get("__init__")
        if not inspect.isfunction(function):
            continue
        try:
            annotations = typing.get_type_hints(function)
        except (NameError, TypeError):  # imported for type checkers alone, so it is a class
            annotations = dict.fromkeys(inspect.signature(function).parameters, object)
        found |= {name for name, annotation in annotations.items() if name != "return" and _has_class(annotation)}
    return found


def _has_class(annotation: Any) -> bool:  # noqa: ANN401 - of any kind
    if annotation is Any or get_origin(annotation) is Literal:
        return False
    kind = get_origin(annotation) or annotation
    if isinstance(kind, type) and kind is not type(int | str) and not issubclass(kind, PLAIN):
        return True
    return any(_has_class(part) for part in get_args(annotation) if part is not Ellipsis)
