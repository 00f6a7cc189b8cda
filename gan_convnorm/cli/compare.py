"""The verb compare: runs side by side on one page."""

from __future__ import annotations

from pathlib import Path

from gan_convnorm.errors import OneLineParser, one_line_errors
from gan_convnorm.report.blocks import Cell, Table
from gan_convnorm.report.comparison import check_comparison, write_comparison
from gan_convnorm.report.comparison_tables import overview
from gan_convnorm.report.plain_table import plain_table
from gan_convnorm.report.runs import group_runs, read_runs


def main(words: list[str] | None = None) -> None:
    """Run the command line.

    Bad input ends in `SystemExit` with status 2 and one line on standard error.

    >>> main(["no such run"])
    Traceback (most recent call last):
    SystemExit: 2
    """
    parser = OneLineParser(
        prog="gan-convnorm compare",
        description="Write one page with the scores, times, singular values, samples and settings of some runs.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run; seeds are taken together")
    parser.add_argument("--out", type=Path, default=Path("compare.html"), help="page to write (default compare.html)")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that this command has not written")
    arguments = parser.parse_args(words)
    with one_line_errors():
        out: Path = arguments.out
        check_comparison(out, overwrite=arguments.overwrite)  # before minutes of drawing
        runs = read_runs(arguments.runs)
        write_comparison(runs, out, overwrite=arguments.overwrite)
        table = overview(group_runs(runs)[0])[0]
        assert isinstance(table, Table)
        rows = (table.head, *table.rows)
        print(plain_table([[cell.text if isinstance(cell, Cell) else cell for cell in row] for row in rows]))
        print(out, flush=True)
