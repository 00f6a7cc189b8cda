"""YAML from files that anyone may have written: plain values, each key once, of a configuration's size."""

from __future__ import annotations

from typing import Any

import yaml

from gan_convnorm.errors import BadInput

__all__ = ["may_have_key", "read_yaml"]

#: the longest configuration of this package has 4,000 characters
MOST_CHARACTERS = 1_000_000
MOST_LEVELS = 50
#: nodes that aliases may repeat; PyYAML itself writes an alias where a list is there twice
MOST_REPEATED = 10_000
#: a number of many digits takes long to read, and Python refuses to print it
LONGEST_NUMBER = 100
NUMBERS = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp")}

#: None, bool, int, float, str, lists and dicts of these: the caller checks which
Plain = Any
# libyaml where PyYAML has it: ten times as fast.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str, name: str) -> Plain:
    r"""Return the plain values of a YAML document.

    A document stays small: its aliases, which could stand for billions of values, may repeat only a few.

    >>> read_yaml("lr: 0.1", "a.yaml")
    {'lr': 0.1}
    >>> read_yaml("lr: 1\nlr: 2", "a.yaml")
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: line 2 of a.yaml has the key 'lr' again, which line 1 has already; keep one of them

    Args:
        text: the document.
        name: of its file, for messages.

    Raises:
        BadInput: it is not YAML, names Python types, has a key twice, repeats itself by aliases, or is far larger
            or deeper than a configuration; the message names the file and, if known, the line.
    """
    if len(text) > MOST_CHARACTERS:
        raise BadInput(f"{name} has {len(text)} characters; expected a configuration of at most {MOST_CHARACTERS}")
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check(node, name)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except BadInput:
        raise
    except RecursionError as error:
        raise BadInput(f"{name} is nested too deeply; expected at most {MOST_LEVELS} levels") from error
    except Exception as error:  # PyYAML's constructors raise various errors, such as KeyError for !!bool maybe
        raise BadInput(f"{name} is not YAML: {_reason(error)}") from error


def may_have_key(value: Plain, key: str) -> bool:
    """Return True if a mapping has a key, at any depth of plain values and of texts that are YAML themselves.

    A command line's parser reads a text as YAML where it allows values of any type, and "a.b" as the key b in a. A text
    with aliases may have every key.

    >>> may_have_key({"gain": [1, "{class_path: subprocess.Popen}"]}, "class_path")
    True
    >>> may_have_key({"path": "photos/class_path"}, "class_path")
    False

    Args:
        value: None, numbers, texts, lists, and dicts with text keys.
        key: the key.
    """
    if isinstance(value, dict):
        return any(key in str(name).split(".") or may_have_key(inner, key) for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        return any(may_have_key(inner, key) for inner in value)
    # PyYAML and libyaml read some texts differently, such as those with tabs; a parser may use either.
    return isinstance(value, str) and any(
        _text_may_have_key(value, key, loader) for loader in {_Loader, yaml.SafeLoader}
    )


def _text_may_have_key(text: str, key: str, loader: Any) -> bool:  # noqa: ANN401 - a class of PyYAML
    nested = False
    try:
        for event in yaml.parse(text, Loader=loader):
            nested |= isinstance(event, yaml.CollectionStartEvent)
            if nested and isinstance(event, yaml.AliasEvent):
                return True
            # Escapes such as "\\x5f" are resolved here.
            if isinstance(event, yaml.ScalarEvent) and event.value != text:
                inner = {event.value: event.value} if nested else event.value
                if may_have_key(inner, key):
                    return True
    except yaml.YAMLError:  # this loader takes the text as it is
        return False
    return False


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split()) or type(error).__name__
    return f"line {mark.line + 1}: {problem}" if mark is not None else problem


def _check(root: yaml.Node, name: str) -> None:
    """Refuse a document that is small to write and large to read."""
    sizes: dict[yaml.Node, int] = {}  # with all that a node's aliases stand for
    above: set[yaml.Node] = set()

    def size(node: yaml.Node) -> int:
        if node in above:
            raise BadInput(f"{_line(node, name)} holds an alias of itself; write the values out")
        if node in sizes:
            return sizes[node]
        if isinstance(node, yaml.ScalarNode):
            if node.tag in NUMBERS and len(node.value) > LONGEST_NUMBER:
                raise BadInput(f"{_line(node, name)} holds a number of {len(node.value)} characters")
            inner = []
        else:
            if len(above) >= MOST_LEVELS:
                raise BadInput(f"{_line(node, name)} is nested too deeply; expected at most {MOST_LEVELS} levels")
            if isinstance(node, yaml.MappingNode):
                _check_keys(node, name)
                inner = [part for pair in node.value for part in pair]
            else:
                inner = node.value
        above.add(node)
        sizes[node] = 1 + sum(map(size, inner))
        above.remove(node)
        return sizes[node]

    repeated = size(root) - len(sizes)
    if repeated > MOST_REPEATED:
        raise BadInput(
            f"{name} repeats {min(repeated, 10**9)} values by aliases; expected at most {MOST_REPEATED}, "
            "so write them out"
        )


def _check_keys(node: yaml.MappingNode, name: str) -> None:
    found: dict[tuple[str, str], yaml.Node] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            first = found.setdefault((key.tag, key.value), key)
            if first is not key:
                raise BadInput(
                    f"{_line(key, name)} has the key {key.value[:60]!r} again, which line "
                    f"{first.start_mark.line + 1} has already; keep one of them"
                )


def _line(node: yaml.Node, name: str) -> str:
    return f"line {node.start_mark.line + 1} of {name}"
