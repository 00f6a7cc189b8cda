"""Ease of training with ConvNorm: loss over steps and seconds, for nets with and without shortcuts.

    python benchmarks/robustness_convergence.py --cells checkpoints/runs/robustness/convergence.csv \
        --figure docs/results/robustness_convergence.png

Digits at 8x8, half the channels, SGD 0.1 at a constant rate, momentum 0.9, weight decay 1e-4, batch 64. Seconds are CPU
seconds of one thread, of the training steps alone. A finished training is not repeated. Lines are means over seeds,
shades span them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from cells_file import read_cells, write_cells
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from torch.nn import functional as F

from gan_convnorm.data import Digits
from gan_convnorm.robustness.epoch_batches import EpochBatches
from gan_convnorm.robustness.networks import build_network

ARCHES = ("resnet8", "plain20", "plain56")
NORMS = ("none", "batch", "spectral+batch", "convnorm", "convnorm+batch")
#: losses in the figure and table are means over so many steps
WINDOW = 10


def train(arch: str, norm: str, seed: int, steps: int) -> list[dict[str, Any]]:
    """Train, and return one row per step."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    data = Digits(resolution=8)
    data.setup()
    images, labels = data.train_set.tensors
    network = build_network(arch, 1, 10, norm, width=0.5)
    network.set_statistics(images)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, 0.9, weight_decay=1e-4)
    order = EpochBatches(len(images), 64, seed)
    rows: list[dict[str, Any]] = []
    seconds = 0.0
    while len(rows) < steps:
        order.set_epoch(len(rows) // len(order))
        for batch in order:
            start = time.process_time()
            loss = F.cross_entropy(network(images[batch] / 255), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seconds += time.process_time() - start
            row = {"arch": arch, "norm": norm, "seed": seed, "step": len(rows) + 1}
            rows.append(row | {"loss": loss.item(), "seconds": seconds})
            if len(rows) == steps:
                break
    return rows


def draw(rows: list[dict[str, str]], path: Path) -> None:
    figure = Figure(figsize=(9, 3 * len(ARCHES)), layout="constrained")
    for line, arch in zip(figure.subplots(len(ARCHES), 2), ARCHES, strict=True):
        for norm in NORMS:
            found = [r for r in rows if (r["arch"], r["norm"]) == (arch, norm)]
            seeds = sorted({r["seed"] for r in found})
            curves = [[float(r["loss"]) for r in found if r["seed"] == seed] for seed in seeds]
            times = [[float(r["seconds"]) for r in found if r["seed"] == seed] for seed in seeds]
            if not curves:
                continue
            ends = range(WINDOW, len(curves[0]) + 1, WINDOW)
            windows = [[statistics.mean(c[end - WINDOW : end]) for c in curves] for end in ends]
            clock = [statistics.mean(t[end - 1] for t in times) for end in ends]
            for axes, x in zip(line, (list(ends), clock), strict=True):
                style = "--" if norm == "none" else "-"  # seen where another line lies on it
                (drawn,) = axes.plot(x, [statistics.mean(w) for w in windows], style, label=norm, zorder=3)
                low, high = [min(w) for w in windows], [max(w) for w in windows]
                axes.fill_between(x, low, high, color=drawn.get_color(), alpha=0.15, linewidth=0)
        for axes, label in zip(line, ("step", "CPU seconds"), strict=True):
            axes.set(title=arch, xlabel=label, ylabel="training loss", ylim=(0, 2.6))
            axes.grid(alpha=0.3)
        line[1].set_xscale("log")
        line[1].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        line[1].xaxis.set_major_formatter("{x:g}")
        line[1].xaxis.set_minor_locator(NullLocator())
    line[0].legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=Path, required=True, help="CSV file of the finished trainings")
    parser.add_argument("--figure", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--arches", nargs="*", default=list(ARCHES))
    arguments = parser.parse_args()
    arguments.cells.parent.mkdir(parents=True, exist_ok=True)
    steps: dict[tuple[str, ...], int] = {}
    for row in read_cells(arguments.cells):
        run = (row["arch"], row["norm"], row["seed"])
        steps[run] = max(int(row["step"]), steps.get(run, 0))
    for other in set(steps.values()) - {arguments.steps}:
        parser.error(f"{arguments.cells} has runs of {other} steps; give --steps {other}, or another --cells")
    for seed in range(arguments.seeds):
        for arch in arguments.arches:
            for norm in NORMS:
                rows = read_cells(arguments.cells)
                if any((r["arch"], r["norm"], r["seed"]) == (arch, norm, str(seed)) for r in rows):
                    continue
                found = train(arch, norm, seed, arguments.steps)
                write_cells(arguments.cells, [*rows, *found])
    rows = read_cells(arguments.cells)
    draw(rows, arguments.figure)
    last = max(int(r["step"]) for r in rows)
    marks = [last // 4, last // 2, last]
    print("| network | norm | " + " | ".join(f"loss at {m}" for m in marks) + " | CPU seconds | seeds |")
    print("|---" * (len(marks) + 4) + "|")
    for arch in ARCHES:
        for norm in NORMS:
            found = [r for r in rows if (r["arch"], r["norm"]) == (arch, norm)]
            seeds = sorted({r["seed"] for r in found})
            if not seeds:
                continue
            cells = []
            for mark in marks:
                window = [
                    [float(r["loss"]) for r in found if r["seed"] == s and mark - WINDOW < int(r["step"]) <= mark]
                    for s in seeds
                ]
                means = [statistics.mean(w) for w in window]
                cells.append(f"{statistics.mean(means):.2f} ({min(means):.2f} to {max(means):.2f})")
            seconds = statistics.mean(float(r["seconds"]) for r in found if int(r["step"]) == last)
            print(f"| {arch} | {norm} | " + " | ".join(cells) + f" | {seconds:.1f} | {len(seeds)} |")


if __name__ == "__main__":
    main()
