"""The surroundings of a run: environment variables, signals, deleted folders, two starts at once."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bad_input_cases.case import Case, call, command

__all__ = ["CASES"]

#: long enough for something to happen in it
LONG = "--steps 100000 --width 0.05 --batch-size 8 --num-fake 20 --eval-every 5 --out run --trainer.log_every_n_steps 1"


def train(words: str = LONG) -> None:
    from gan_convnorm.cli import main

    main(["fit", *words.split()])


def during(action: Callable[[], Any], sign: str = "run/last.ckpt") -> Callable[[], None]:
    """Return a long training run that is interrupted by an action as soon as a file exists."""

    def watch() -> None:
        while not Path(sign).exists():
            time.sleep(0.02)
        time.sleep(0.1)
        action()

    def run() -> None:
        threading.Thread(target=watch, daemon=True).start()
        train()

    return run


def happens(action: Callable[[], Any], what: str, says: str, status: int, **more: Any) -> Case:
    return call("a training run", during(action), what, says, status=status, writes="run*", **more)


def two_at_once() -> None:
    """Start two runs with one folder, and assert that one is refused and leaves nothing behind."""
    statuses = []
    children = []
    for seed in (1, 2):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                train(f"--steps 30 --width 0.05 --batch-size 8 --num-fake 20 --eval-every 10 --out run --seed {seed}")
                status = 0
            except SystemExit as stop:
                status = stop.code if isinstance(stop.code, int) else 1
            finally:
                os._exit(status)
        children.append(child)
    for child in children:
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    assert sorted(statuses) == [0, 2], statuses


def two_resumes() -> None:
    statuses = []
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                train("--resume last --out trained --steps 60")
                status = 0
            except SystemExit as stop:
                status = stop.code if isinstance(stop.code, int) else 1
            finally:
                os._exit(status)
        children.append(child)
    for child in children:
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    assert sorted(statuses) == [0, 2], statuses


def kill(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def reader_goes() -> None:
    """Train into a pipe whose reader closes in the middle of the run."""
    reader, writer = os.pipe()
    os.dup2(writer, 1)
    os.close(writer)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115 - of the pipe, not of the file
    during(lambda: os.close(reader))()


def requeued() -> None:
    os.environ |= {"SLURM_JOB_ID": "7"}
    during(kill(signal.SIGUSR1))()


def environment(what: str, says: str = "", words: str = "", **env: str) -> Case:
    return command(
        "fit",
        words,
        f"environment with {what}",
        says,
        env=env,
        process=True,
        expect="clear accepted",
        writes="checkpoints*",
        prints="FID",
    )


CASES = [
    happens(kill(signal.SIGHUP), "SIGHUP", "SIGHUP.*--resume|--resume.*SIGHUP", 129, quick=True),
    happens(kill(signal.SIGTERM), "SIGTERM", "SIGTERM.*--resume|--resume.*SIGTERM", 143),
    happens(kill(signal.SIGINT), "Ctrl-C", "--resume", 130),
    call("a training run", requeued, "SIGUSR1 in a job of SLURM", "SIGUSR1", status=138, writes="run*"),
    call("a training run", reader_goes, "its output's reader gone", "SIGPIPE.*--resume", status=141, writes="run*"),
    happens(lambda: shutil.rmtree("run"), "its folder deleted", "run.*(gone|removed|deleted|cannot)", 1),
    happens(lambda: shutil.rmtree(Path.cwd()), "its working folder deleted", "gone|removed|deleted|cannot", 1),
    call("a training run", two_at_once, "two starts with one folder", expect="accepted", writes="run*"),
    call(
        "a training run",
        two_resumes,
        "two resumes of one folder",
        expect="accepted",
        writes="trained*",
        needs="trained",
    ),
    environment("LOCAL_RANK of another job", "LOCAL_RANK", LOCAL_RANK="1"),
    environment("WORLD_SIZE of another job", "WORLD_SIZE|RANK|MASTER", WORLD_SIZE="4", RANK="1"),
    environment("a broken LOCAL_RANK", "LOCAL_RANK", LOCAL_RANK="abc"),
    environment(
        "SLURM_NTASKS of another job",
        "SLURM",
        SLURM_NTASKS="4",
        SLURM_JOB_ID="7",
        SLURM_JOB_NAME="job",
        SLURM_PROCID="0",
        SLURM_LOCALID="0",
        SLURM_NODELIST="a",
    ),
    environment("a locale that is not UTF-8", LC_ALL="C", LANG="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
    environment("a cache that is a file", XDG_CACHE_HOME="/dev/null"),
    environment("a cache that cannot be made", XDG_CACHE_HOME="/proc/none"),
    environment("an empty home", HOME="", XDG_CACHE_HOME=""),
    environment("OMP_NUM_THREADS of a word", OMP_NUM_THREADS="many"),
    environment("a seed of a word", "PL_GLOBAL_SEED|seed", PL_GLOBAL_SEED="abc"),
    command(
        "score",
        "flat flat --extractor classifier --extractor-weights extractor.pt",
        "environment with WORLD_SIZE of another job",
        "WORLD_SIZE|RANK|MASTER",
        env={"WORLD_SIZE": "4"},
        process=True,
    ),
    command(
        "score",
        "flat flat --extractor classifier --extractor-weights extractor.pt",
        "environment with WORLD_SIZE of a word",
        "WORLD_SIZE",
        env={"WORLD_SIZE": "abc"},
        process=True,
    ),
]
