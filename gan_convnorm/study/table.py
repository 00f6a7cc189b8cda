"""runs.csv: every evaluation of every run of a study as one table."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.score_table import SCORE_COLUMNS
from gan_convnorm.study.results import NORM_COLUMN, Result

__all__ = ["FIRST_COLUMNS", "table", "write_table"]

FIRST_COLUMNS = ("grid", "norm", "seed", "n_dis", "learning_rate", "outcome", "kind", "step", "seconds", "cpu_seconds")


def table(results: Sequence[Result]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return one row for each evaluation of each run, with the scores in training, and one "final" for each run.

    Returns:
        Columns, and rows with some of them.

    >>> row = {"step": 10.0, "seconds": 1.0, "fid": 4.0, "spectrum/linear/operator_norm": 1.5}
    >>> run = Result("main", "none", 0, 1, 0.002, "finished", 10, 1.0, 1.0, [row], {"fid": 4.0}, {}, {}, None, "here")
    >>> columns, rows = table([run])
    >>> [(row["kind"], row["step"], row["fid"]) for row in rows]
    [('interim', 10.0, 4.0), ('final', 10, 4.0)]
    """
    rows: list[dict[str, Any]] = []
    for result in results:
        run = {key: getattr(result, key) for key in ("grid", "norm", "seed", "n_dis", "learning_rate", "outcome")}
        made = {"host": result.host, "commit": result.commit, "protocol": json.dumps(result.protocol, sort_keys=True)}
        made["versions"] = " ".join(f"{name}={version}" for name, version in result.versions.items())
        rows += [{**run, "kind": "interim", **row, **made} for row in result.rows]
        last = {"step": result.steps, "seconds": result.seconds, "cpu_seconds": result.cpu_seconds}
        rows.append({**run, "kind": "final", **last, **result.final, **made})
    last_columns = ["host", "commit", "protocol", "versions"]
    scores = [name for name in SCORE_COLUMNS if any(name in row for row in rows)]
    layers = list(dict.fromkeys(key for row in rows for key in row if key.startswith(NORM_COLUMN[0])))
    return [*FIRST_COLUMNS, *scores, *layers, *last_columns], rows


def write_table(results: Sequence[Result], path: Path) -> None:
    """Write `table` as CSV.

    Raises:
        BadInput: the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_table([], Path(folder) / "runs.csv")
    ...     (Path(folder) / "runs.csv").read_text()[:20]
    'grid,norm,seed,n_dis'
    """
    columns, rows = table(results)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns)
    writer.writeheader()
    writer.writerows({k: "" if _absent(v) else v for k, v in row.items()} for row in rows)
    try:
        with atomic_write(path) as part:
            part.write_text(buffer.getvalue(), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); choose another folder with --out") from error


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
