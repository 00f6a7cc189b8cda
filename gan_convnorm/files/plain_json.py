"""JSON from files that anyone may have written."""

from __future__ import annotations

import json
from typing import Any

from gan_convnorm.errors import BadInput

__all__ = ["read_json"]

MOST_LEVELS = 50


def read_json(text: str, name: str) -> Any:
    """Return the values of a JSON document; NaN and Infinity are numbers, as Python writes them.

    Args:
        text: the document.
        name: of its file, for messages.

    Raises:
        BadInput: it is no JSON, or nested more deeply than a person's; the message names the file and, if known, the
            line.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"{name} is not JSON: line {error.lineno}: {error.msg}") from error
    except ValueError as error:  # an integer of thousands of digits
        raise BadInput(f"{name} is not JSON: {error}") from error
    except RecursionError as error:
        raise BadInput(f"{name} is nested too deeply; expected at most {MOST_LEVELS} levels") from error
    level = [content]
    for _ in range(MOST_LEVELS):
        level = [inner for value in level for inner in _inner(value)]
        if not level:
            return content
    raise BadInput(f"{name} is nested too deeply; expected at most {MOST_LEVELS} levels")


def _inner(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
