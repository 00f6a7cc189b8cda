"""Runs side by side: python -m gan_convnorm.compare RUN RUN ... [--out page.html]."""

from __future__ import annotations

import argparse
from pathlib import Path

from gan_convnorm.compare.page import write_page
from gan_convnorm.compare.runs import read_runs
from gan_convnorm.errors import BadInput
from gan_convnorm.one_line_errors import one_line_errors


def main(words: list[str] | None = None) -> None:
    """Run the command line.

    Raises:
        SystemExit: status 2 with one line on standard error for bad input.
    """
    parser = argparse.ArgumentParser(
        prog="python -m gan_convnorm.compare",
        description="One page with the scores, times, spectra, samples and differing configuration of some runs.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run; seeds are taken together")
    parser.add_argument("--out", type=Path, default=Path("compare.html"), help="page to write (default compare.html)")
    arguments = parser.parse_args(words)
    with one_line_errors():
        out: Path = arguments.out
        if out.is_dir() or not out.absolute().parent.is_dir():
            raise BadInput(f"--out {out} is a folder, or in none that exists; expected a file such as compare.html")
        write_page(read_runs(arguments.runs), out)
    print(out)


if __name__ == "__main__":
    main()
