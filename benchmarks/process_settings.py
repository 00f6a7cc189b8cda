"""Time of a training step by what a process decides at its start: the memory that it keeps, or its threads.

    python benchmarks/process_settings.py memory --json memory.json
    python benchmarks/process_settings.py threads
    python benchmarks/process_settings.py memory --rounds 1 --steps 4 --cases digits   # smoke

- memory: glibc gives large blocks back to the system when they are freed, and the system clears their pages when the
  next step asks for them again. The programs of this package keep them (gan_convnorm/program_start.py).
- threads: 1, 2, 4, ... up to the number of cores. The share of a step that more threads do not shorten follows from the
  times with 1 and 2 by Amdahl's law, and with it an estimate for more threads than the machine has cores.

Every measurement has a process of its own, and all take turns in every round. A process's step is the median of its
steps but the first three. The table has medians over the rounds, and half the interquartile range.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from gan_convnorm.program_start import keep_freed_memory

#: norm, resolution, width and batch
CASES: dict[str, tuple[str, int, float, int]] = {
    "digits": ("spectral", 16, 0.25, 32),
    "digits, convnorm": ("convnorm", 16, 0.25, 32),
    "32 pixels, narrow": ("spectral", 32, 0.25, 64),
    "32 pixels, narrow, convnorm": ("convnorm", 32, 0.25, 64),
    "32 pixels, full width": ("spectral", 32, 1.0, 16),
}
FREED, KEPT = "given back", "kept"
FIRST = 3  # steps that are not counted
#: numbers of threads for which times are estimated
ESTIMATED = (4, 8, 16)


def ways_of(setting: str) -> list[str]:
    """Return the ways that are compared, the first of which is the base."""
    if setting == "memory":
        return [FREED, KEPT]
    cores = os.cpu_count() or 1
    return [str(2**power) for power in range(cores.bit_length())]


def time_steps(case: str, way: str, steps: int) -> dict[str, Any]:
    """Train in this process; return the seconds, system seconds and page faults of a step, the peak and the machine."""
    kept = keep_freed_memory({}) if way != FREED else False
    import pytorch_lightning as pl
    import torch
    from environment import environment
    from throughput import RandomImages, quiet

    from gan_convnorm.gan import GAN, Architecture, Optimization

    class Clock(pl.Callback):
        def __init__(self) -> None:
            self.ends: list[tuple[float, float, int]] = []

        def on_train_batch_end(self, *_: Any) -> None:
            used = resource.getrusage(resource.RUSAGE_SELF)
            self.ends.append((time.perf_counter(), used.ru_stime, used.ru_minflt))

    quiet()
    norm, resolution, width, batch = CASES[case]
    clock = Clock()
    trainer = pl.Trainer(
        max_epochs=-1,
        callbacks=[clock],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    gan = GAN(
        resolution,
        3,
        architecture=Architecture(width=width, disc_norm=norm),
        optimization=Optimization(steps=steps + FIRST + 1),
    )
    trainer.fit(gan, RandomImages(torch.randint(0, 256, (2000, 3, resolution, resolution), dtype=torch.uint8), batch))
    steps_of = zip(clock.ends[FIRST:], clock.ends[FIRST + 1 :], strict=False)
    rows = [[after - before for before, after in zip(one, two, strict=True)] for one, two in steps_of]
    seconds, system, faults = (statistics.median(column) for column in zip(*rows, strict=True))
    found = {"seconds": seconds, "system": system, "faults": faults, "kept": kept}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {**found, "peak_mib": peak, "environment": environment("cpu")}


def spread(values: list[float], digits: int) -> str:
    half = 0.0
    if len(values) > 1:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        half = (high - low) / 2
    return f"{statistics.median(values):.{digits}f} +- {half:.{digits}f}"


Found = dict[str, dict[str, list[dict[str, Any]]]]


def measure(setting: str, cases: list[str], rounds: int, steps: int) -> Found:
    """Return the results of every round, by case and way."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    found: Found = {case: {way: [] for way in ways_of(setting)} for case in cases}
    for _ in range(rounds):
        for case, ways in found.items():
            for way, results in ways.items():
                command = [sys.executable, __file__, setting, "--steps", str(steps), "--child", case, way]
                environment = clean | ({"OMP_NUM_THREADS": way} if setting == "threads" else {})
                done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
                results.append(json.loads(done.stdout.splitlines()[-1]))
    return found


def print_memory(found: Found) -> None:
    print("| case | ms, given back | ms, kept | kept / given back | of the system, ms | page faults | peak, MiB |")
    print("|---|---|---|---|---|---|---|")
    for case, ways in found.items():
        freed, kept = ways[FREED], ways[KEPT]
        times = [spread([1000 * result["seconds"] for result in results], 1) for results in (freed, kept)]
        ratio = spread([two["seconds"] / one["seconds"] for one, two in zip(freed, kept, strict=True)], 3)
        pairs = [
            " to ".join(
                f"{scale * statistics.median(result[key] for result in results):,.{digits}f}"
                for results in (freed, kept)
            )
            for key, scale, digits in (("system", 1000, 1), ("faults", 1, 0), ("peak_mib", 1, 0))
        ]
        print("|", " | ".join([case, *times, ratio, *pairs]), "|")


def print_threads(found: Found) -> None:
    ways = ways_of("threads")
    heads = [*(f"ms, {way}" for way in ways), "not shortened", *(f"{n} threads, estimate" for n in ESTIMATED)]
    print("| case |", " | ".join(heads), "|\n|---|" + "---|" * len(heads))
    for case, results in found.items():
        times = {way: [1000 * result["seconds"] for result in results[way]] for way in ways}
        cells = [spread(times[way], 1) for way in ways]
        if len(ways) > 1:
            one, two = (statistics.median(times[way]) for way in ways[:2])
            serial = min(1.0, max(0.0, 2 * two / one - 1))
            cells += [f"{serial:.0%}", *(f"{one * (serial + (1 - serial) / number):.1f}" for number in ESTIMATED)]
        print("|", " | ".join([case, *cells]), "|")


def main(words: list[str] | None = None) -> None:
    """Measure, print the table, and write the JSON where it was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setting", choices=("memory", "threads"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if arguments.child:
        print(json.dumps(time_steps(*arguments.child, arguments.steps)))
        return
    found = measure(arguments.setting, arguments.cases, arguments.rounds, arguments.steps)
    (print_memory if arguments.setting == "memory" else print_threads)(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
