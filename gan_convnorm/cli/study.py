"""The verb study: FILE [flags] [-- more arguments for every run]."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_convnorm.cli.command_words import setting_words, values_of
from gan_convnorm.cli.study_display import Display
from gan_convnorm.errors import BadInput, OneLineParser, one_line_errors
from gan_convnorm.files.plain_values import flattened
from gan_convnorm.study.definition_file import read_study
from gan_convnorm.study.report import check_report, is_report, write_report
from gan_convnorm.study.table import TABLE, Contents, is_floor, read_table

if TYPE_CHECKING:
    from gan_convnorm.study.definition import StudyDefinition
    from gan_convnorm.study.queue import Queue
    from gan_convnorm.study.results import Result

STUDIES = Path("checkpoints/runs/studies")
#: the most --workers and --threads; more must be a typing error
MOST_PROCESSES = 1024
#: what a study varies -> flags that set it
FLAGS_OF_FACTOR = {
    "norm": ["--disc-norm", "--model.architecture.disc-norm"],
    "seed": ["--seed", "--seed-everything"],
    "n_dis": ["--n-dis", "--model.optimization.n-dis"],
    "learning_rate": [
        f"--{prefix}{network}-lr" for network in ("gen", "disc") for prefix in ("", "model.optimization.")
    ],
}


def main(words: list[str] | None = None) -> None:
    """Run the command line.

    Raises:
        SystemExit: status 2 with one line on standard error for bad input, 1 where a worker died twice, 130 after
            Ctrl-C or SIGTERM.

    >>> main(["none.yaml"])
    Traceback (most recent call last):
    SystemExit: 2
    """
    words = list(sys.argv[1:] if words is None else words)
    split = words.index("--") if "--" in words else len(words)
    arguments = _parser().parse_args(words[:split])
    with one_line_errors():
        status = _study(arguments, words[split + 1 :])
    raise SystemExit(status)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="gan-convnorm study",
        description=(
            "Train the runs of a study that are not done yet, and write its report. Its file lists norms, seeds, n_dis "
            "and learning rates; every combination is a run. After a stop the same command continues; it can also "
            "continue from the runs.csv in OUT. Several machines can share one storage. Arguments after -- are added "
            "to every run, such as -- --data.path photos."
        ),
    )
    parser.add_argument("study", type=Path, help="the study's YAML file (docs/study.md)")
    parser.add_argument("--out", type=Path, help=f"folder for runs and report (default {STUDIES}/NAME)")
    parser.add_argument("--storage", help="database that the machines share, as SQLAlchemy writes it (default: in OUT)")
    parser.add_argument("--workers", type=int, default=_cores(), help="runs at a time (default: one a core)")
    parser.add_argument("--threads", type=int, help="CPU threads of a run (default: cores divided by workers)")
    parser.add_argument("--smoke", action="store_true", help="a few steps of the first and last level of each factor")
    parser.add_argument("--overwrite", action="store_true", help="replace report files that no study wrote")
    parser.add_argument("--report", action="store_true", help="write the report of what is there, and run nothing")
    return parser


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _study(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    definition = replace(read_study(arguments.study), words=tuple(setting_words(words)))
    _check_words(definition)
    if arguments.smoke:
        definition = definition.for_smoke()
    given = arguments.threads
    threads = max(1, _cores() // max(1, arguments.workers)) if given is None else given
    for flag, value in (("--workers", arguments.workers), ("--threads", threads)):
        if not 1 <= value <= MOST_PROCESSES:
            raise BadInput(f"{flag} is {value}; expected 1 to {MOST_PROCESSES}")
    out: Path = arguments.out or STUDIES / definition.name
    database = out / "study.db"
    storage = arguments.storage or f"sqlite:///{database}"
    check_report(out, overwrite=arguments.overwrite)  # before any run
    table = out / TABLE
    # With --overwrite the file may be another program's.
    known = read_table(table) if table.exists() and is_report(table) else Contents([], None)
    if arguments.report and known.results and arguments.storage is None and not database.exists():
        return _report(definition, known, out, overwrite=arguments.overwrite)
    if importlib.util.find_spec("optuna") is None:
        raise BadInput("Optuna is not installed; python -m pip install optuna")
    made = _claim(out, arguments.storage is None and not known.results)
    from gan_convnorm.study.queue import Queue
    from gan_convnorm.study.run_process import RunProcesses
    from gan_convnorm.study.storage import storage_errors

    points = definition.points()
    display = Display(len(points))
    try:
        processes = RunProcesses(out / "runs", threads=threads, words=words, tell=display.tell)
        queue = Queue(definition.name, points, storage, processes, workers=arguments.workers, tell=display.tell)
    except BadInput:
        for folder in made:
            with contextlib.suppress(OSError):  # another study's by now
                folder.rmdir()
        raise
    with storage_errors(storage):
        if taken := queue.take_over(known.results):
            print(f"{taken} runs are known from {out / TABLE}", flush=True)
        own = definition.keys()
        others = [run for run in known.results if (run.grid, run.norm, run.configuration) not in own]
        _say_others(others, table)
        if known.floor is not None and "floor" not in queue.study.user_attrs:
            queue.study.set_user_attr("floor", known.floor)
        return _run(definition, queue, display, out, others, report=arguments.report, overwrite=arguments.overwrite)


def _check_words(definition: StudyDefinition) -> None:
    """Raise when the arguments for every run set what the study varies: the table would call equal runs different."""
    for factor, flags in FLAGS_OF_FACTOR.items():
        varied = factor == "norm" or any(getattr(grid, factor) for grid in definition.grids.values())
        for flag in flags:
            if varied and values_of(definition.words, flag):
                raise BadInput(f"{flag} stands after --, and the study varies {factor}; set it in the study's file")


def _run(
    definition: StudyDefinition,
    queue: Queue,
    display: Display,
    out: Path,
    others: list[Result],
    *,
    report: bool,
    overwrite: bool,
) -> int:
    """Run what is left, write the report of what is there, and return the exit status."""
    display.start(done=len(queue.results()))
    status = 0
    try:
        if not report:
            queue.run(display.finished)
    except KeyboardInterrupt:
        status = 130
    finally:
        display.close()
    results = queue.results()
    if results:
        floor = queue.study.user_attrs.get("floor")
        of = _scoring_digest(queue)
        if floor is not None and (not is_floor(floor) or floor.get("of", of) != of):
            floor = None  # of other data, or scored in another way
        if floor is None and status == 0 and not report:
            floor = _floor(queue)
            if floor is not None:
                floor["of"] = of
                queue.study.set_user_attr("floor", floor)
        failed = queue.failed()
        written = write_report(definition, results, out, floor=floor, failed=failed, others=others, overwrite=overwrite)
        for path in written:
            print(path, flush=True)
    for label in queue.failed():
        print(f"not there, its worker died twice: {label}", file=sys.stderr)
        status = status or 1
    if status == 130 or report:
        total = len(queue.points)
        print(f"{len(results)} of {total} runs are done; the same command without --report goes on", flush=True)
    return status


def _report(definition: StudyDefinition, known: Contents, out: Path, *, overwrite: bool) -> int:
    """Write the report of a table whose study's database is elsewhere, or gone."""
    own = definition.keys()
    results: list[Result] = []
    others: list[Result] = []
    # Tables of an earlier version do not name the configuration; once the study has gone on, theirs are other runs.
    early = not any(result.configuration for result in known.results)
    for result in known.results:
        mine = early or (result.grid, result.norm, result.configuration) in own
        (results if mine else others).append(result)
    _say_others(others, out / TABLE)
    for path in write_report(
        definition, results, out, floor=known.floor, failed=[], others=others, overwrite=overwrite
    ):
        print(path, flush=True)
    print(f"{len(results)} of {definition.count()} runs are known from {out / TABLE}", flush=True)
    return 0


def _say_others(others: list[Result], table: Path) -> None:
    if others:
        print(
            f"{len(others)} runs in {table} are not of this study: another configuration, or other arguments after --; "
            "they stay there, and no report has them",
            flush=True,
        )


def _claim(out: Path, embedded: bool) -> list[Path]:
    """Make the study's folder, unless it is there.

    Returns:
        The folders that were made, inner ones first.

    Raises:
        BadInput: the folder cannot be written, or holds something else.
    """
    try:
        made = [folder for folder in (out, *out.parents) if not folder.exists()]
        out.mkdir(parents=True, exist_ok=True)
        strange = [p.name for p in out.iterdir() if not (out / "study.db").exists() and p.name != "runs"]
    except OSError as error:
        raise BadInput(f"the folder {out} cannot be written ({error.strerror}); choose another with --out") from error
    if embedded and strange:
        raise BadInput(f"the folder {out} has {strange[0]} and no study.db; choose another with --out")
    return made


def _scoring_digest(queue: Queue) -> str:
    """Return a digest of the data and the scoring, which the floor depends on."""
    config = next(iter(queue.points.values())).config
    parts = [config.get("data"), config.get("scores"), setting_words(queue.processes.words)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]


def _floor(queue: Queue) -> dict[str, Any] | None:
    """Score real images in a process of its own: this one imports no torch."""
    runs = (queue.processes.out / name for name in queue.points)
    folder = next((run for run in runs if (run / "config.yaml").exists()), None)
    if folder is None:
        return None
    # A run's folder may come from somebody else: only the study's file and the command line name code.
    named = {word.partition("=")[2] or word for word in queue.processes.words}
    for point in queue.points.values():
        values = flattened(point.config)
        named |= {str(values.get(key)) for key in ("data.class_path", "scores.extractor", "scores.extractor_weights")}
    command = [sys.executable, "-m", "gan_convnorm.study.floor", str(folder), *sorted(named)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        print(f"warning: the floor could not be scored ({lines[-1]})", file=sys.stderr)
        return None
    floor: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return floor
