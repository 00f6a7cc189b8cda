"""CPU seconds of what the program answers without training, and of a run until it trains.

    python benchmarks/start_up.py --checkout ../before --checkout . --rounds 5
    python benchmarks/start_up.py --rounds 1 --only help   # smoke

Every round runs every command in every checkout once, in a process of its own. CPU seconds are user and system time of
the whole process; those of the first output are read from /proc, so the benchmark needs Linux. The table has medians,
and the least and the most. A first round is not counted: it compiles the modules and trains the classifier that scores
the digits.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = ("train_gan.py",)
TINY = ("--model.optimization.steps", "2", "--width", "0.05", "--batch-size", "4", "--num-fake", "20")
#: what is run after "python", in the folder of the checkout
COMMANDS: dict[str, tuple[str, ...]] = {
    "torch": ("-c", "import torch"),
    "lightning": ("-c", "import pytorch_lightning"),
    "layers": ("-c", "from gan_convnorm.layers import ConvNorm2d"),
    "fidelity": ("-c", "import gan_convnorm.fidelity"),
    "help": (*PROGRAM, "--help"),
    "typo": (*PROGRAM, "--stpes", "5"),
    "score help": (*PROGRAM, "score", "--help"),
    "print": (*PROGRAM, "--print_config"),
    "print flags": (*PROGRAM, "--data", "cifar10", "--disc-norm", "convnorm", "--print_config"),
    "print file": (*PROGRAM, "--config", "configs/sngan_digits_convnorm.yaml", "--print_config"),
    "run": (*PROGRAM, *TINY, "--out", "{}/run"),
}


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process that runs."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(checkout: Path, words: tuple[str, ...]) -> tuple[float, float | None]:
    """Return the CPU seconds of a command, and those until its first output, None if it has none."""
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process = subprocess.Popen(
            [sys.executable, *(word.format(folder) for word in words)],
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(checkout)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        has_output = process.stdout.read(1)
        first = cpu_seconds(process.pid) if has_output else None
        process.stdout.read()
        process.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, first


def in_words(seconds: list[float]) -> str:
    """Return the median, the least and the most."""
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


def main(words: list[str] | None = None) -> None:
    """Measure, and print a table for each checkout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", type=Path, action="append", help="folder of train_gan.py; may be given twice")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=COMMANDS, action="append", help="may be given several times")
    arguments = parser.parse_args(words)
    checkouts = [path.resolve() for path in arguments.checkout or [Path()]]
    chosen = {name: COMMANDS[name] for name in arguments.only or COMMANDS}
    found: dict[tuple[Path, str], list[tuple[float, float | None]]] = {}
    for counted in range(arguments.rounds + 1):
        for name, command in chosen.items():
            for checkout in checkouts:
                seconds = measure(checkout, command)
                if counted:
                    found.setdefault((checkout, name), []).append(seconds)
    print(f"Python {platform.python_version()}, n = {arguments.rounds}, CPU seconds: median (least to most)")
    for number, checkout in enumerate(checkouts, 1):
        print(f"\n| checkout {number} | whole process | until its first output |\n|---|---|---|")
        for name, command in chosen.items():
            totals, firsts = zip(*found[checkout, name], strict=True)
            printed = [first for first in firsts if first is not None]
            print(f"| `python {' '.join(command)}` | {in_words(totals)} | {in_words(printed) if printed else '-'} |")


if __name__ == "__main__":
    main()
