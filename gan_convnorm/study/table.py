"""runs.csv: every evaluation of every run of a study as one table. A study can go on from it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.files.text import read_text
from gan_convnorm.score_table import LARGEST_NUMBER, SCORE_COLUMNS
from gan_convnorm.study.results import MEASURED, Result

__all__ = ["FIRST_COLUMNS", "TABLE", "Contents", "is_floor", "read_table", "table", "write_table"]

TABLE = "runs.csv"
FIRST_COLUMNS = ("grid", "norm", "seed", "n_dis", "learning_rate", "outcome", "kind", "step", "seconds", "cpu_seconds")
#: what tells a run from the others of a table, beside its configuration
IDENTITY = FIRST_COLUMNS[:5]
LAST_COLUMNS = ("host", "commit", "configuration", "reason", "protocol", "versions")
#: kinds of rows: an evaluation during a run, the scores after its last step, and those of real images
INTERIM, FINAL, FLOOR = "interim", "final", "floor"
MOST_BYTES = 2**28


class Contents(NamedTuple):
    """The content of a runs.csv.

    Attributes:
        results: of runs.
        floor: what real images score, as `floor.floor` gives it; None where the table does not say.

    >>> Contents([], None).floor is None
    True
    """

    results: list[Result]
    floor: dict[str, Any] | None


def table(results: Sequence[Result], floor: dict[str, Any] | None = None) -> tuple[list[str], list[dict[str, Any]]]:
    """Return one row for each evaluation of each run, with the scores in training, and one "final" for each run.

    Args:
        results: of the runs.
        floor: what real images score, for a row of its own; None for no such row.

    Returns:
        Columns, and rows with some of them.

    >>> row = {"step": 10.0, "seconds": 1.0, "fid": 4.0, "layers/linear/operator_norm": 1.5}
    >>> run = Result("main", "none", 0, 1, 0.002, "finished", 10, 1.0, 1.0, [row], {"fid": 4.0}, {}, {}, None, "here")
    >>> columns, rows = table([run])
    >>> [(row["kind"], row["step"], row["fid"]) for row in rows]
    [('interim', 10.0, 4.0), ('final', 10, 4.0)]
    """
    rows: list[dict[str, Any]] = []
    for result in results:
        run = {key: getattr(result, key) for key in ("grid", "norm", "seed", "n_dis", "learning_rate", "outcome")}
        made = {key: getattr(result, key) for key in ("host", "commit", "configuration", "reason")}
        made["protocol"] = json.dumps(result.protocol, sort_keys=True)
        made["versions"] = " ".join(f"{name}={version}" for name, version in result.versions.items())
        rows += [{**run, "kind": INTERIM, **row, **made} for row in result.rows]
        last = {"step": result.steps, "seconds": result.seconds, "cpu_seconds": result.cpu_seconds}
        rows.append({**run, "kind": FINAL, **last, **result.final, **made})
    if floor is not None:
        how = {key: value for key, value in floor.items() if key != "values"}
        rows.append({"kind": FLOOR, **floor["values"], "protocol": json.dumps(how, sort_keys=True)})
    scores = [name for name in SCORE_COLUMNS if any(name in row for row in rows)]
    measured = list(dict.fromkeys(key for row in rows for key in row if key.startswith(MEASURED)))
    return [*FIRST_COLUMNS, *scores, *measured, *LAST_COLUMNS], rows


def write_table(results: Sequence[Result], path: Path, floor: dict[str, Any] | None = None) -> None:
    """Write `table` as CSV.

    Raises:
        BadInput: the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_table([], Path(folder) / "runs.csv")
    ...     (Path(folder) / "runs.csv").read_text()[:20]
    'grid,norm,seed,n_dis'
    """
    columns, rows = table(results, floor)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns)
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)
    try:
        with atomic_write(path) as part:
            part.write_text(buffer.getvalue(), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); choose another folder with --out") from error


def read_table(path: Path) -> Contents:
    """Return what `write_table` has written, plain values that choose no code.

    Raises:
        BadInput: there is no such file, or a row is damaged.

    >>> import tempfile
    >>> row = {"step": 10, "seconds": 1.0, "fid": 4.0}
    >>> run = Result("main", "none", 0, 1, 0.002, "finished", 10, 1.0, 1.0, [row], {"fid": 4.0}, {}, {}, None, "here")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_table([run], Path(folder) / "runs.csv")
    ...     read_table(Path(folder) / "runs.csv").results == [run]
    True
    """
    reader = csv.DictReader(io.StringIO(read_text(path, "the runs.csv of a study", MOST_BYTES), newline=""))
    results: list[Result] = []
    floor: dict[str, Any] | None = None
    interim: list[dict[str, float]] = []
    owner: tuple[str, ...] = ()  # the run of the interim rows
    runs: set[tuple[str, ...]] = set()
    line = 1
    try:
        missing = [name for name in FIRST_COLUMNS if name not in (reader.fieldnames or [])]
        for row in reader if not missing else ():
            line = reader.line_num
            run = tuple(row[name] for name in IDENTITY)
            if row["kind"] == FLOOR:
                floor = _floor(row)
                continue
            if interim:
                _check_same(run, owner)
            owner = run
            if row["kind"] == INTERIM:
                measured = [name for name in row if name.startswith(MEASURED)]
                times = {"step": int(float(row["step"])), **_numbers(row, ("seconds", "cpu_seconds"))}
                interim.append({**times, **_numbers(row, (*SCORE_COLUMNS, *measured))})
            else:
                _add_new((*run, row.get("configuration") or ""), runs)
                results.append(_result(row, interim))
                interim = []
        if interim:
            _check_same((), owner)
    except csv.Error as error:
        raise BadInput(f"{path} cannot be read ({error}); expected the runs.csv of a study; move it away") from error
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, OverflowError) as error:
        raise BadInput(
            f"line {line} of {path} is no row of a study's runs.csv ({error!r:.80}); mend it or move the file away"
        ) from error
    if missing:
        raise BadInput(f"{path} has no column {missing[0]}; expected the runs.csv of a study; move it away")
    return Contents(results, floor)


def _floor(row: dict[str, str]) -> dict[str, Any]:
    floor = {"values": _numbers(row, SCORE_COLUMNS), **_mapping(row["protocol"])}
    if not is_floor(floor):
        raise ValueError("the floor's protocol has no n and split")
    return floor


def is_floor(found: object) -> bool:
    """Return True for scores of real images with their number and split, as a study's floor is kept.

    >>> is_floor({"values": {"fid": 0.1}, "n": 5000, "split": "test"}), is_floor(5)
    (True, False)
    """
    if not isinstance(found, dict) or not isinstance(found.get("values"), dict):
        return False
    values, n, split = found["values"], found.get("n"), found.get("split")
    numbers = all(name in SCORE_COLUMNS and isinstance(value, int | float) for name, value in values.items())
    return numbers and isinstance(n, int) and isinstance(split, str)


def _check_same(run: tuple[str, ...], owner: tuple[str, ...]) -> None:
    """Raise unless a row is of the run that the evaluations above it are of."""
    if run != owner:
        raise ValueError(f"no final row of {', '.join(owner[:3])} above it")


def _add_new(run: tuple[str, ...], runs: set[tuple[str, ...]]) -> None:
    if run in runs:
        raise ValueError(f"a second run of {', '.join(run[:3])}")
    runs.add(run)


def _result(row: dict[str, str], interim: list[dict[str, float]]) -> Result:
    if row["kind"] != FINAL:
        raise ValueError(f"kind {row['kind']!r:.20}")
    times = _numbers(row, ("seconds", "cpu_seconds"))
    return Result(
        grid=row["grid"],
        norm=row["norm"],
        seed=int(row["seed"]),
        n_dis=int(row["n_dis"]),
        learning_rate=float(row["learning_rate"]),
        outcome=row["outcome"],
        steps=int(row["step"]),
        seconds=times.get("seconds"),
        cpu_seconds=times.get("cpu_seconds"),
        rows=interim,
        final=_numbers(row, SCORE_COLUMNS),
        protocol=_mapping(row["protocol"]),
        versions=dict(word.split("=", 1) for word in row["versions"].split()),
        commit=row["commit"] or None,
        host=row["host"],
        reason=row.get("reason") or "",
        configuration=row.get("configuration") or "",
    )


def _numbers(row: dict[str, str], names: Sequence[str]) -> dict[str, float]:
    found = {name: float(row[name]) for name in names if row.get(name)}
    for name, value in found.items():
        if LARGEST_NUMBER < abs(value) < math.inf:
            raise ValueError(f"{name} {value:g}")
    return found


def _mapping(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"{text:.20} is no mapping")
    return found
