"""metrics.csv: one row a generator step, kept across a resumed run."""

from __future__ import annotations

import csv
import itertools
import shutil
import warnings
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write

__all__ = ["MetricsFile", "read_rows"]

#: characters of a line that are read; a longer line is damaged
MOST_CHARACTERS = 100_000


class MetricsFile(Logger):
    """Logs to one CSV file, always whole on disk.

    Lightning's CSVLogger deletes what a resumed run had logged, and writes a row for the losses and another for the
    scores of one step. Here the rows up to the resumed step stay, and a step has one row.

    Args:
        path: the file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = MetricsFile(Path(folder) / "metrics.csv")
    ...     file.log_metrics({"d_loss": 1.5}, step=10)
    ...     file.log_metrics({"fid": 4.0}, step=10)
    ...     file.save()
    ...     file.path.read_text().splitlines()
    ['step,d_loss,fid', '10,1.5,4.0']
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.rows: list[dict[str, Any]] | None = None  # the file's, read once it is known which of them to keep

    @property
    @override
    def name(self) -> str:
        return ""

    @property
    @override
    def version(self) -> str:
        return ""

    @property
    @override
    def save_dir(self) -> str:
        return str(self.path.parent)

    @rank_zero_only
    def keep(self, last_step: int) -> None:
        """Keep the rows up to a step; later ones are those of a run that was ended, and are dropped."""
        if not self.rows:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                self.rows = list(read_rows(self.path))
            for each in caught:
                self._set_aside()
                warnings.warn(str(each.message), stacklevel=2)
        self.rows = [row for row in self.rows if int(row["step"]) <= last_step]

    def _set_aside(self) -> None:
        """Keep a damaged file under another name."""
        names = (self.path.with_name(f"metrics.damaged{number}.csv") for number in itertools.count(1))
        shutil.copyfile(self.path, next(name for name in names if not name.exists()))

    @rank_zero_only
    @override
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        assert step is not None
        if self.rows is None:
            self.keep(step - 1)
        assert self.rows is not None
        if not self.rows or int(self.rows[-1]["step"]) != step:
            self.rows.append({"step": step})
        self.rows[-1].update(metrics)

    @rank_zero_only
    @override
    def log_hyperparams(self, *args: object, **kwargs: object) -> None:
        """Do nothing: config.yaml has them."""

    @rank_zero_only
    @override
    def save(self) -> None:
        if not self.rows:
            return
        columns = sorted(set().union(*self.rows) - {"step"})
        with atomic_write(self.path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["step", *columns])
            writer.writeheader()
            writer.writerows(self.rows)

    @override
    def finalize(self, status: str) -> None:
        self.save()


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a metrics file that can be read, with a warning for others; none without a file.

    >>> read_rows(Path("no such file"))
    []

    A row has a whole number as its "step", above that of the row before, and numbers or nothing in the other columns.

    Raises:
        BadInput: the path is not a file, but a folder, say.
    """
    if not path.exists():
        return []
    if not path.is_file():
        raise BadInput(f"{path} is no file; expected a run's metrics, one row a step")
    # Bytes that are not text make rows that are not metrics.
    lines = path.read_bytes().replace(b"\0", b"?").decode("utf-8", errors="replace").splitlines()
    reader = csv.DictReader(line[:MOST_CHARACTERS] for line in lines)
    rows: list[dict[str, str]] = []
    damaged = 0
    try:
        for row in reader:
            if _is_whole(row, int(rows[-1]["step"]) if rows else -1):
                rows.append(row)
            else:
                damaged += 1
    except csv.Error:  # a quote without an end, which makes one field of all that follows
        damaged += 1
    if damaged or (lines and "step" not in (reader.fieldnames or ())):
        warnings.warn(
            f"{path} is damaged: {len(rows)} rows are taken, and {damaged} others cannot be read as metrics; a copy of "
            "it is kept when the run goes on",
            stacklevel=2,
        )
    return rows


def _is_whole(row: dict[Any, Any], after: int) -> bool:
    step = row.get("step") or ""
    if not (step.isascii() and step.isdigit() and len(step) < 19 and int(step) > after):
        return False
    try:
        for value in row.values():
            float(value or 0)  # a cell too many is a list, one too few is None
    except (TypeError, ValueError):
        return False
    return None not in row.values()
