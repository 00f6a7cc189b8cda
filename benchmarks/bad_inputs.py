"""Does bad input end in one clear line? Feeds wrong input, hostile or plausible.

Every command but `demo`, and every public function, is fed.

    python benchmarks/bad_inputs.py                       # all, a few minutes
    python benchmarks/bad_inputs.py --only 'resume|trust' # those whose title has it
    python benchmarks/bad_inputs.py --list

Each case runs in a process and a folder of its own. It is clear when it ends with status 2 (or its own status) and one
line of at most 300 characters that says what was found, and leaves every file as it was. It must never be a traceback,
hang for 20 s, damage a file, or run code that a file named.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from bad_input_cases.all_cases import all_cases
from bad_input_cases.assets import make_assets
from bad_input_cases.case import Case
from bad_input_cases.preload import preload
from bad_input_cases.sandbox import Seen, run_case
from bad_input_cases.table import table
from bad_input_cases.verdict import outcome


@dataclass
class Result:
    """A case and its outcome."""

    case: Case
    outcome: str
    why: str
    printed: str
    seconds: float

    @property
    def good(self) -> bool:
        return self.outcome in self.case.expect

    def line(self) -> str:
        text = f"{self.outcome:16} {self.case.title}"
        return text if self.good else f"{text}\n    {self.why}\n    printed: {self.printed[-700:]!r}"


def run_all(cases: Sequence[Case], *, limit: float = 20, jobs: int = 1) -> Iterator[Result]:
    """Run cases in their order, without those that this version does not have.

    Args:
        cases: of `all_cases`.
        limit: seconds after which a case hangs.
        jobs: cases at a time.
    """
    torch.set_num_threads(1)
    preload()
    with tempfile.TemporaryDirectory() as name:
        assets = Path(name)
        make_assets(assets)
        run = partial(_run, cases, assets, limit)
        # Forked from here, where everything is imported already.
        pool = ProcessPoolExecutor(jobs, mp_context=get_context("fork"), initializer=_keep, initargs=(run,))
        with pool:
            found = map(run, range(len(cases))) if jobs == 1 else pool.map(_call_kept, range(len(cases)))
            for case, seen in zip(cases, found, strict=True):
                if seen is None:
                    continue
                yield Result(case, *outcome(case, seen), seen.out[-1000:] + seen.err[-1500:], seen.seconds)


def _run(cases: Sequence[Case], assets: Path, limit: float, number: int) -> Seen | None:
    return run_case(cases[number], assets, limit)


def _keep(run: Any) -> None:
    _kept.append(run)


def _call_kept(number: int) -> Seen | None:
    return _kept[-1](number)


#: what a worker runs: handed over by the fork, since cases hold functions that cannot be pickled
_kept: list[Any] = []


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="regular expression that a case's title must contain")
    parser.add_argument("--list", action="store_true", help="print the titles and run nothing")
    parser.add_argument("--quick", action="store_true", help="only the cases that the tests run")
    parser.add_argument(
        "--limit",
        type=float,
        default=20,
        help="seconds after which a case counts as hanging, on an idle machine (default 20)",
    )
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time (default 2)")
    parser.add_argument("--json", type=Path, help="file for every case's outcome")
    parser.add_argument("--failures", action="store_true", help="print only the cases with an unexpected outcome")
    arguments = parser.parse_args(words)
    cases = [case for case in all_cases() if re.search(arguments.only, case.title)]
    cases = [case for case in cases if case.quick or not arguments.quick]
    if arguments.list:
        print("\n".join(case.title for case in cases))
        return
    results = []
    for result in run_all(cases, limit=arguments.limit, jobs=arguments.jobs):
        results.append(result)
        if not (arguments.failures and result.good):
            print(result.line(), flush=True)
    print()
    print(table([(result.case, result.outcome) for result in results]))
    if arguments.json is not None:
        rows = [
            {"case": r.case.title, "outcome": r.outcome, "good": r.good, "why": r.why, "printed": r.printed}
            | {"words": r.case.words, "expected": r.case.expect, "seconds": round(r.seconds, 1)}
            for r in results
        ]
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    sys.exit(any(not result.good for result in results))


if __name__ == "__main__":
    main()
