"""Data sets on the command line: the short names of the package's own, and their class paths."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from gan_convnorm.data import DATA
from gan_convnorm.errors import BadInput
from gan_convnorm.files.names import shown

__all__ = ["OWN_DATA", "class_path_of", "with_class_paths"]


def class_path_of(data: type) -> str:
    """Return the class path under which a configuration names a data module.

    >>> class_path_of(DATA["digits"])
    'gan_convnorm.data.digits.Digits'
    """
    return f"{data.__module__}.{data.__qualname__}"


#: class paths of the package's own data modules: in their files, and in the room
OWN_DATA = {path for each in DATA.values() for path in (class_path_of(each), f"gan_convnorm.data.{each.__qualname__}")}


def with_class_paths(words: Sequence[str]) -> list[str]:
    """Return a command line in which --data names classes.

    >>> with_class_paths(["--data", "digits", "--data=mine.Photos"])
    ['--data', 'gan_convnorm.data.digits.Digits', '--data=mine.Photos']

    It comes before the data's arguments, as the parser needs it.

    >>> with_class_paths(["fit", "--data.path", "photos", "--data", "folder"])
    ['fit', '--data', 'gan_convnorm.data.folder.Folder', '--data.path', 'photos']

    A path, and a name without a dot that is not in the list of data sets, raise `BadInput`.
    """
    found = [_with_class_path(word, before) for word, before in zip(words, ["", *words], strict=False)]
    first = next((place for place, word in enumerate(found) if word.startswith("--data.")), len(found))
    for place in range(first, len(found)):
        taken = 1 if found[place].startswith("--data=") else 2 if found[place] == "--data" else 0
        if taken:
            return [*found[:first], *found[place : place + taken], *found[first:place], *found[place + taken :]]
    return found


def _with_class_path(word: str, before: str) -> str:
    name = word.removeprefix("--data=") if word.startswith("--data=") else word if before == "--data" else None
    if name is None or name.startswith("-"):
        return word
    if name not in DATA and (Path(name).is_dir() or name.endswith((".npz", ".npy", ".pt"))):
        kind = "folder" if Path(name).is_dir() else "npz"
        path = shlex.quote(shown(name))
        raise BadInput(
            f"data {shown(name)!r} is no data set's name; for its images give --data {kind} --data.path {path}"
        )
    if "." in name:
        return word
    if name not in DATA:
        raise BadInput(f"data {name!r} is not known; choose one of: {', '.join(DATA)}, or give a class as module.Class")
    return word.removesuffix(name) + class_path_of(DATA[name])
