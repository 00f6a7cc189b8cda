"""Errors of jsonargparse and Lightning about a configuration, as one line in this project's words."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from gan_convnorm.errors import BadInput, status_and_line

__all__ = ["foreign_errors", "in_plain_words", "restoring_errors"]

#: the file in which Lightning restores a checkpoint
RESTORING = "checkpoint_connector.py"

PACKAGE = str(Path(__file__).parent)
KEY = re.compile(r'Parser key "([^"]+)":\s*(.*)', re.DOTALL)
NAMES = {
    "<class 'int'>": "a whole number",
    "<class 'float'>": "a number",
    "<class 'bool'>": "true or false",
    "<class 'str'>": "a text",
    "<class 'dict'>": "a mapping such as {key: value}",
    "<class 'list'>": "a list",
    "<class 'NoneType'>": "null",
    "dot import path string": "a class as module.Class",
}


def in_plain_words(message: str, flags: Mapping[str, str]) -> str:
    """Return jsonargparse's message as: the flag, the value that was found, and the values that were expected.

    Args:
        message: of the parser, on any number of lines.
        flags: nested argument -> its short flag, such as "model.steps" -> "--steps".

    >>> problem = "Expected a <class 'int'>. Got value: many"
    >>> message = f'Parser key "model.steps": {problem}'
    >>> in_plain_words(message, {"model.steps": "--steps"})
    "--steps (model.steps) is 'many'; expected a whole number"
    """
    message = " ".join(message.split())
    match = KEY.match(message)
    if match is None:  # of argparse, which names the flag at the beginning
        return re.sub(r"^argument --([\w.]+)", lambda found: f"argument {_flag(found[1], flags)}", message)
    key, rest = match.groups()
    if (problem := re.search(r"Problem with given class_path '([^']*)': (.*?)(?: - |$)", rest)) is not None:
        return _class_problem(key, problem[1], problem[2], flags)
    if "Unable to load config" in rest:
        found = re.search(r"Unable to load config ['\"](.*?)['\"]", rest)
        value = found[1] if found else ""
        return f"--{key} is {value[:60]!r}; expected a mapping with the settings of {key}, or a YAML file of them"
    return f"{_flag(key, flags)} is {_value(rest)}; expected {_expected(rest)}"


def _class_problem(key: str, class_path: str, problem: str, flags: Mapping[str, str]) -> str:
    name = class_path.rpartition(".")[2]
    if (option := re.match(r"Option '([^']*)' is not accepted", problem)) is not None:
        other = "; do other data have it, such as --data folder?" if key == "data" else ""
        return f"{name} of --{key} has no argument {option[1]!r}{other}"
    if (inner := KEY.match(problem)) is not None:
        argument = f"{key}.init_args.{inner[1]}"
        flag = _flag(argument, flags) if argument in flags else f"--{key}.{inner[1]}"
        return f"{flag} is {_value(inner[2])}; expected {_expected(inner[2])}"
    return f"--{key} names {class_path}, which cannot be used: {problem[:160]}"


def _flag(key: str, flags: Mapping[str, str]) -> str:
    flag = flags.get(key, f"--{key}")
    return flag if key not in flags or flag.removeprefix("--").replace("-", "_") == key else f"{flag} ({key})"


def _value(text: str) -> str:
    found = re.search(r"(?:Given value|Got value): (.*)$", text)
    return f"'{found[1][:60]}'" if found else "not usable"


def _expected(text: str) -> str:
    if "Not a valid subclass of" in text and "Expected a <class 'bool'>" not in text:
        found = re.search(r"Not a valid subclass of (\w+)", text)
        return f"a class as module.Class, a {found[1] if found else ''} with the arguments of its constructor"
    words: list[str] = []
    for kind in re.findall(r"Expected an? (.*?)(?: - |\. Got value|: | Given value|$)", text):
        choices = re.search(r"Literal\[(.*?)\]", kind)
        name = choices[1].replace("'", "") if choices else NAMES.get(kind, kind)
        words += [name] if name not in words and not name.startswith("path") else []
    return " or ".join(words) or "another value"


@contextlib.contextmanager
def foreign_errors(what: str) -> Iterator[None]:
    """Turn a library's error about the user's settings into one line; a defect of this package stays as it is.

    Args:
        what: the line's beginning, such as "the settings cannot be used".

    Raises:
        BadInput: in place of a library's error.

    >>> with foreign_errors("the settings cannot be used"):
    ...     raise ValueError("no device cuda:9")
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: the settings cannot be used: no device cuda:9
    """
    try:
        yield
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = bool(frames) and frames[-1].filename.startswith(PACKAGE)
        if ours or status_and_line(error) is not None:
            raise
        raise BadInput(f"{what}: {_reason(error)}") from error


@contextlib.contextmanager
def restoring_errors(checkpoint: object) -> Iterator[None]:
    """Turn an error of Lightning's while it restores a checkpoint into one line.

    Args:
        checkpoint: the file, for the message.

    Raises:
        BadInput: in place of the error.

    >>> with restoring_errors("last.ckpt"):
    ...     raise ValueError("of another place than restoring")
    Traceback (most recent call last):
    ValueError: of another place than restoring
    """
    try:
        yield
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        if status_and_line(error) is not None or not any(f.filename.endswith(RESTORING) for f in frames):
            raise
        raise BadInput(
            f"{checkpoint} cannot be resumed: its state is not a run of this version ({_reason(error)}); resume "
            "from another checkpoint of the run"
        ) from error


def _reason(error: Exception) -> str:
    """Return why a library refused: the package that is missing, the class that failed, or its own first words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ImportError):
            return " ".join(str(cause).split())[:200]
        cause = cause.__cause__ or cause.__context__
    text = " ".join(str(error).split())
    if (problem := re.search(r"Problem with given class_path '([^']*)': (.*?)(?: - |$)", text)) is not None:
        text = f"{problem[1]}: {problem[2]}"
    elif "Does not validate" in text:
        text = f"found {_value(text)}; expected {_expected(text)}"
    is_bare = isinstance(error, (KeyError, AttributeError))
    return f"{type(error).__name__}: {text[:200]}" if is_bare else text[:200] or type(error).__name__
