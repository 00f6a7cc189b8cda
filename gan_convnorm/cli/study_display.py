"""How far a study is, on the terminal."""

from __future__ import annotations

import sys
import threading

from gan_convnorm.progress import Progress
from gan_convnorm.score_table import titles, write_score
from gan_convnorm.study.results import Result

__all__ = ["Display"]


class Display:
    """One bar for all runs, and a line for each that ends; on standard output, as other programs may read the lines.

    Args:
        total: number of runs of the study.

    >>> Display(total=40).tell("main, none, seed 0: FID 2.10")
    main, none, seed 0: FID 2.10
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.bar: Progress | None = None
        self.lock = threading.Lock()

    def start(self, done: int) -> None:
        """Show the bar, with the runs that are done already."""
        self.done = done
        self.bar = Progress("study", "runs", self.total, sys.stdout).__enter__()
        self.bar.update(done)
        self.tell(f"{done} of {self.total} runs are done")

    def finished(self, result: Result) -> None:
        """Count one run that has ended, and print its line."""
        scores = [f"{title} {write_score(result.final, name)}" for name, title in titles(result.final).items()]
        outcome = (scores or ["finished"])[0] if result.outcome == "finished" else f"stopped, {result.reason}"
        seconds = f", {result.seconds:.0f} s" if result.seconds is not None else ""
        rate = f"n_dis {result.n_dis}, learning rate {result.learning_rate:g}"
        with self.lock:
            self.done += 1
            if self.bar is not None:
                self.bar.update(self.done)
            self.tell(f"{result.grid}, {result.norm}, seed {result.seed}, {rate}: {outcome}{seconds}")

    def tell(self, line: str) -> None:
        """Print a line, above the bar where there is one."""
        if self.bar is None:
            print(line, flush=True)
        else:
            self.bar.print(line)

    def close(self) -> None:
        """Remove the bar."""
        if self.bar is not None:
            self.bar.__exit__(None, None, None)
            self.bar = None
