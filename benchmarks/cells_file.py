"""A CSV file of finished trainings, which a benchmark does not repeat."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["read_cells", "write_cells"]


def read_cells(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file, none if it does not exist."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_cells(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace a file by rows, whose columns may differ, at once."""
    columns = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    part = path.with_suffix(".part")
    with part.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)
