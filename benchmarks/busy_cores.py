"""Time of a training step on idle cores, and while other processes keep all cores busy.

    python benchmarks/busy_cores.py --json busy_cores.json
    python benchmarks/busy_cores.py --rounds 1 --steps 3 --seconds 2 --width 0.05   # smoke

torch's OpenMP threads wait for the next parallel region by spinning, and on cores that another process wants too they
keep those that work from it. The programs of this package let them sleep soon (gan_convnorm/program_start.py). Every
way of waiting is timed in processes of its own, since libgomp reads its variables when it is loaded; all take turns in
every round, idle and beside as many busy processes as there are cores. A process's step is the median of its steps; the
table has the median over the rounds, and half the interquartile range.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from environment import environment, in_words

from gan_convnorm.program_start import SPIN_COUNT

#: the variables that decide how many threads there are and how they wait
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
TORCH, OURS = "torch's own", "this package's programs"
WAYS: dict[str, dict[str, str]] = {
    TORCH: {},
    OURS: {"GOMP_SPINCOUNT": SPIN_COUNT},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
IDLE, BUSY = "idle", "busy"
#: to aim at: of a step on idle cores over torch's own, and of a step on busy cores over one on idle cores
MOST_IDLE, MOST_BUSY = 1.03, 4.0
#: a program that wants a core all the time
SPIN = "while True: pass"


def time_steps(steps: int, seconds: float, width: float) -> dict[str, Any]:
    """Train in this process, and return the seconds of every step but the first and what it ran on."""
    import pytorch_lightning as pl
    from throughput import quiet

    from gan_convnorm.cli.gan import TRAINER_DEFAULTS
    from gan_convnorm.data import Digits
    from gan_convnorm.gan import GAN, Architecture, Optimization

    class Clock(pl.Callback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
            self.ends.append(time.perf_counter())
            # At least one step is timed, however long it takes.
            if len(self.ends) > 2 and self.ends[-1] - self.ends[0] > seconds:
                trainer.should_stop = True

    quiet()
    pl.seed_everything(0, verbose=False)
    clock = Clock()
    settings = TRAINER_DEFAULTS | {"limit_val_batches": 0, "accelerator": "cpu", "logger": False}
    trainer = pl.Trainer(**settings, callbacks=[clock], enable_checkpointing=False, enable_progress_bar=False)
    trainer.fit(GAN(architecture=Architecture(width=width), optimization=Optimization(steps=steps + 2)), Digits())
    found = [last - first for first, last in zip(clock.ends[1:], clock.ends[2:], strict=False)]
    return {"seconds": found, "environment": environment("cpu")}


@contextlib.contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Keep cores busy with processes while the block runs."""
    processes = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run_apart(variables: dict[str, str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Time the steps in a process with these OpenMP variables and no others."""
    words = [f"--steps={arguments.steps}", f"--seconds={arguments.seconds}", f"--width={arguments.width}", "--worker"]
    done = subprocess.run(
        [sys.executable, __file__, *words],
        env={k: v for k, v in os.environ.items() if k not in VARIABLES} | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def middle_and_spread(values: list[float]) -> tuple[float, float]:
    """Return the median and half the interquartile range."""
    if len(values) < 2:
        return values[0], 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, (high - low) / 2


def main(words: list[str] | None = None) -> int:
    """Measure, print the table, and return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60, help="most timed steps of a process")
    parser.add_argument(
        "--seconds", type=float, default=15, help="seconds after which a process starts no further step"
    )
    parser.add_argument("--width", type=float, default=0.25, help="width of the networks; the default run's is 0.25")
    parser.add_argument(
        "--busy", type=int, default=os.cpu_count() or 1, help="number of busy processes (default: one for each core)"
    )
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if arguments.worker:
        print(json.dumps(time_steps(arguments.steps, arguments.seconds, arguments.width)))
        return 0
    medians: dict[str, dict[str, list[float]]] = {way: {IDLE: [], BUSY: []} for way in WAYS}
    ran_on: dict[str, Any] = {}
    for _ in range(arguments.rounds):
        for way, variables in WAYS.items():
            for condition, number in ((IDLE, 0), (BUSY, arguments.busy)):
                with busy_processes(number):
                    found = run_apart(variables, arguments)
                medians[way][condition].append(statistics.median(found["seconds"]))
                ran_on = ran_on or found["environment"]
    print(in_words(ran_on))
    print(f"\nMilliseconds a step, idle and beside {arguments.busy} busy processes, {arguments.rounds} rounds.\n")
    print("| threads wait as in | idle | busy | idle / torch's idle | busy / idle |")
    print("|---|---|---|---|---|")
    ratios = {}
    for way, times in medians.items():
        cells = [" +- ".join(f"{1000 * value:.1f}" for value in middle_and_spread(times[c])) for c in (IDLE, BUSY)]
        # Within a round, so that other work on the machine meets both.
        slower = [a / b for a, b in zip(times[IDLE], medians[TORCH][IDLE], strict=True)]
        busier = [a / b for a, b in zip(times[BUSY], times[IDLE], strict=True)]
        ratios[way] = {"idle": statistics.median(slower), "busy": statistics.median(busier)}
        print(f"| {way} | {cells[0]} | {cells[1]} | {ratios[way]['idle']:.3f} | {ratios[way]['busy']:.1f} |")
    good = ratios[OURS]["idle"] <= MOST_IDLE and ratios[OURS]["busy"] <= MOST_BUSY
    print(f"\nAims (idle at most {MOST_IDLE}, busy at most {MOST_BUSY:g}): {'met' if good else 'NOT met'}")
    if arguments.json:
        results = {"environment": ran_on, "seconds_a_step": medians, "ratios": ratios, "aims_met": good}
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
