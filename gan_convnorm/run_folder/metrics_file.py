"""metrics.csv: one row a generator step, kept across a resumed run."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from gan_convnorm.atomic_write import atomic_write

__all__ = ["MetricsFile"]


class MetricsFile(Logger):
    """Logs to one CSV file, always whole on disk.

    Lightning's CSVLogger deletes what a resumed run had logged, and writes a row for the losses and another for the
    scores of one step. Here the rows up to the resumed step stay, and a step has one row.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.rows: list[dict[str, Any]] | None = None  # of the file, read when it is known which of them to keep

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    @rank_zero_only
    def keep(self, last_step: int) -> None:
        """Go on after a step: rows of later ones, of a run that was ended, are dropped."""
        self.rows = [row for row in self.rows or read_rows(self.path) if int(row["step"]) <= last_step]

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        assert step is not None
        if self.rows is None:
            self.keep(step - 1)
        assert self.rows is not None
        if not self.rows or int(self.rows[-1]["step"]) != step:
            self.rows.append({"step": step})
        self.rows[-1].update(metrics)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: config.yaml has them."""

    @rank_zero_only
    def save(self) -> None:
        if not self.rows:
            return
        columns = sorted(set().union(*self.rows) - {"step"})
        with atomic_write(self.path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["step", *columns])
            writer.writeheader()
            writer.writerows(self.rows)

    def finalize(self, status: str) -> None:
        self.save()


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a metrics file, none when there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
