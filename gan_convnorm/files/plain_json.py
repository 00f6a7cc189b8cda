"""JSON from files that anyone may have written."""

from __future__ import annotations

import json
from typing import Any

from gan_convnorm.errors import BadInput

__all__ = ["read_json"]

MOST_LEVELS = 50
#: None, bool, int, float, str, lists and dicts of these: the caller checks which
Plain = Any


def read_json(text: str, name: str) -> Plain:
    """Return the values of a JSON document; NaN and Infinity are numbers, as Python writes them.

    >>> read_json('{"seeds": [0, 1]}', "a.json")
    {'seeds': [0, 1]}

    Args:
        text: the document.
        name: of its file, for messages.

    Raises:
        BadInput: it is not JSON, or nested too deeply; the message names the file and, if known, the line.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"{name} is not JSON: line {error.lineno}: {error.msg}") from error
    except ValueError as error:  # an integer of thousands of digits
        raise BadInput(f"{name} is not JSON: {error}") from error
    except RecursionError as error:
        raise BadInput(f"{name} is nested too deeply; expected at most {MOST_LEVELS} levels") from error
    level: list[object] = [content]
    for _ in range(MOST_LEVELS):
        level = [inner for value in level for inner in _inner(value)]
        if not level:
            return content
    raise BadInput(f"{name} is nested too deeply; expected at most {MOST_LEVELS} levels")


def _inner(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
