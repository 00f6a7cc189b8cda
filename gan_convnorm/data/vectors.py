"""A vector of numbers for every image of a folder, from a CSV file."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.files.names import shown
from gan_convnorm.files.text import read_text

__all__ = ["Vectors"]


#: of a file: a million images with 40 numbers each
MOST_BYTES = 2**30


class Vectors:
    r"""Vectors of images by their files' paths, such as attributes or a continuous condition.

    The first line names the columns: file, then one name for each number. Every other line has an image's path below
    the folder and its numbers: file,smiling,age / cat/1.png,1,0.4. They are taken as they are.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels.csv")
    ...     _ = path.write_text("file,smiling,age\na.png,1,0.25\n")
    ...     vectors = Vectors(path)
    >>> vectors.names, vectors.of(["a.png"])
    (['smiling', 'age'], tensor([[1.0000, 0.2500]]))

    Args:
        path: the file, in UTF-8.

    Raises:
        BadInput: no file, another first line; a line of another length, a value that is no finite number, or a file
            twice, with the number of its line.
    """

    def __init__(self, path: Path) -> None:
        self.path = shown(path)
        lines = csv.reader(io.StringIO(read_text(path, "a CSV file of one line for each image", MOST_BYTES)))
        try:
            first, *rows = [(lines.line_num, row) for row in lines if row] or [(1, [""])]
        except (csv.Error, ValueError) as error:
            raise BadInput(f"{self.path} is no CSV file with a first line of names ({error})") from error
        self.names = [name.strip() for name in first[1][1:]]
        if (
            first[1][0].strip() != "file"
            or not self.names
            or not all(self.names)
            or len(set(self.names)) < len(self.names)
        ):
            raise BadInput(
                f"{self.path}, line 1: found {','.join(first[1])[:80]!r}; expected file, then another name for each "
                "number, such as file,smiling,age"
            )
        self.rows: dict[str, list[float]] = {}
        for number, row in rows:
            name = row[0].strip()
            if name in self.rows:
                raise BadInput(
                    f"{self.path}, line {number}: {shown(name)} has had a line before; expected one for each image"
                )
            self.rows[name] = self._numbers(number, row)

    def _numbers(self, number: int, row: list[str]) -> list[float]:
        if len(row) != 1 + len(self.names):
            raise BadInput(
                f"{self.path}, line {number}: found {len(row) - 1} numbers; expected {len(self.names)}: "
                f"{', '.join(self.names)}"
            )
        values = [_finite(word) for word in row[1:]]
        for name, word, value in zip(self.names, row[1:], values, strict=True):
            if value is None:
                raise BadInput(f"{self.path}, line {number}: {name} is {word[:40]!r}; expected a finite number")
        return [value for value in values if value is not None]

    def of(self, files: Sequence[str]) -> Tensor:
        """Return the vectors of images, float32 (N, names).

        Args:
            files: their paths below the folder.

        Raises:
            BadInput: an image without a line.
        """
        missing = [file for file in files if file not in self.rows]
        if missing:
            raise BadInput(
                f"{self.path} has no line for {len(missing)} of {len(files)} images, such as {shown(missing[0])}; "
                "expected every image's path below the folder"
            )
        return torch.tensor([self.rows[file] for file in files], dtype=torch.float32)


def _finite(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < 1e30 else None
