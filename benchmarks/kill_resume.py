"""Kills at random moments: killed and resumed runs are compared with an undisturbed one.

    python benchmarks/kill_resume.py                 # 30 kills
    python benchmarks/kill_resume.py --kills 3       # smoke

A run is killed by SIGKILL, resumed, killed again, and so on to its end; then the next run begins, until there were
enough kills. A third of the kills come at any moment, a third within the writing of a checkpoint, a third within an
evaluation. A run is lost when its weights, optimizer states, averages, schedules, loop counters, best score or rows of
metrics.csv differ in one bit from the undisturbed run's.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from gan_convnorm import fidelity
from gan_convnorm.cli import main as command
from gan_convnorm.run_folder import last_checkpoint

WORDS = ["--steps", "24", "--eval-every", "4", "--n-dis", "2", "--width", "0.05", "--batch-size", "4"]
WORDS += ["--num-fake", "256", "--trainer.log_every_n_steps", "2", "--disc-norm", "convnorm"]
KINDS = ("any moment", "checkpoint", "evaluation")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_within(function: Any, call: int, delay: float) -> Any:
    """Return the function, changed so that its n-th call kills the process."""
    calls = [0]

    def doomed(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            threading.Timer(delay, die).start()
        return function(*args, **kwargs)

    return doomed


def process(words: list[str], kind: str | None, call: int, delay: float, log: Path) -> None:
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if kind == "any moment":
        threading.Timer(delay, die).start()
    if kind == "checkpoint":
        torch.save = die_within(torch.save, call, delay)
    if kind == "evaluation":
        fidelity.Evaluator.__call__ = die_within(fidelity.Evaluator.__call__, call, delay)
    command(words)


def run(words: list[str], kind: str | None, call: int, delay: float, log: Path) -> int:
    # Forked from here, where everything is imported already.
    child = multiprocessing.get_context("fork").Process(target=process, args=(words, kind, call, delay, log))
    child.start()
    child.join()
    return child.exitcode or 0


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, (dict, list, tuple)):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            yield from flat(part, f"{prefix}.{key}")
    else:
        yield prefix, value


def same(a: Any, b: Any) -> bool:
    return torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a == b


def differences(one: Path, two: Path) -> list[str]:
    found = []
    for folder in (one, two):
        content = dict(flat(torch.load(folder / "last.ckpt", weights_only=True)))
        found.append({name.replace(str(folder.resolve()), "RUN"): value for name, value in content.items()})
    differing = sorted(found[0].keys() ^ found[1].keys())
    for name in found[0].keys() & found[1].keys():
        a, b = found[0][name], found[1][name]
        # Lightning restores the best score, and not what the last improvement was, which nothing reads.
        told = name == ".config" or name.endswith((".seconds", ".cpu_seconds", "_path", ".dirpath", ".current_score"))
        if not told and not same(a, b):
            differing.append(name)
    if (one / "metrics.csv").read_bytes() != (two / "metrics.csv").read_bytes():
        differing.append("metrics.csv")
    return differing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chance = random.Random(arguments.seed)
    kills: Counter[str] = Counter()
    lost, runs = 0, 0
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        os.environ["XDG_CACHE_HOME"] = name
        log = Path(name, "log")
        whole = Path("whole")
        run([*WORDS, "--out", "whole"], None, 0, 0, log)
        start = time.monotonic()
        run([*WORDS, "--out", "timed"], None, 0, 0, log)
        seconds = time.monotonic() - start
        while sum(kills.values()) < arguments.kills:
            runs += 1
            folder = Path(f"run{runs}")
            while True:
                words = [*WORDS, "--out", str(folder)]
                if (folder / "last.ckpt").exists():
                    words = ["--resume", "last", "--out", str(folder)]
                elif folder.exists():
                    shutil.rmtree(folder)  # killed before its first checkpoint
                kind = KINDS[sum(kills.values()) % len(KINDS)]
                delay = {"any moment": seconds, "checkpoint": 0.01, "evaluation": 0.2}[kind] * chance.random()
                status = run(words, kind, chance.randint(1, 3), delay, log)
                if status == 0:
                    break
                if status != -signal.SIGKILL:
                    raise SystemExit(f"the run ended with status {status}:\n{log.read_text()[-2000:]}")
                kills[kind] += 1
                if (folder / "last.ckpt").exists():
                    last_checkpoint(folder)  # whole, or it raises
            differing = differences(whole, folder)
            lost += bool(differing)
            told = f"differs in {', '.join(differing[:6])}" if differing else "bit-identical"
            print(f"run {runs}: {told}, {sum(kills.values())} kills so far", flush=True)
    table = ", ".join(f"{count} at {kind}" for kind, count in kills.items())
    print(f"{sum(kills.values())} kills ({table}) in {runs} runs of {seconds:.0f} s: {lost} runs lost anything")
    raise SystemExit(bool(lost))


if __name__ == "__main__":
    main()
