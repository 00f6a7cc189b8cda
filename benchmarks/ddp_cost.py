"""Time of averaging over processes: NetworksDDP and Lightning's DDP, two gloo processes on a CPU.

    python benchmarks/ddp_cost.py
    python benchmarks/ddp_cost.py --cases 1 --rounds 1 --steps 2   # smoke

The GAN on digits with the command line's settings, under every strategy in turn: in a round each trains anew from the
same weights, the order of the strategies turns with the rounds, ratios are of one round. The first steps of each are
not counted. "No averaging" lets the processes train apart: what is left is a step without communication. One thread a
process; CPU seconds are both processes' together, and leave out waiting. Spreads are half the interquartile range.

Afterwards: are the trained weights the same under both strategies, and are weights and buffers the same on both
processes; and what happens under the forms of DDP that do not look for unused parameters.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from environment import environment, in_words
from pytorch_lightning.strategies import DDPStrategy
from throughput import middle_and_spread, now, quiet
from torch import Tensor

from gan_convnorm.callbacks import FiniteCheck
from gan_convnorm.cli.gan import TRAINER_DEFAULTS
from gan_convnorm.data import Digits
from gan_convnorm.gan import GAN, Architecture, Optimization
from gan_convnorm.run_folder import MetricsFile
from gan_convnorm.strategies import NetworksDDP

PROCESSES = 2


class NoAveraging(NetworksDDP):
    """A strategy whose processes start with equal weights and train independently."""

    def optimizer_step(self, *arguments: Any, **options: Any) -> Any:
        return DDPStrategy.optimizer_step(self, *arguments, **options)

    def training_step(self, *arguments: Any, **options: Any) -> Any:
        return DDPStrategy.training_step(self, *arguments, **options)


OURS, LIGHTNING, ALONE = "NetworksDDP", "ddp_find_unused_parameters_true", "no averaging"
STRATEGIES: dict[str, Callable[[], Any]] = {OURS: NetworksDDP, LIGHTNING: lambda: LIGHTNING, ALONE: NoAveraging}
#: forms of DDP that wait for the gradients of all parameters
OTHERS: dict[str, Callable[[], Any]] = {
    "ddp": lambda: "ddp",
    "ddp, static_graph": lambda: DDPStrategy(static_graph=True),
}


@dataclass(frozen=True)
class Case:
    """The sizes of a training; the batch is one process's."""

    resolution: int
    width: float
    batch: int
    n_dis: int
    steps: int

    def __str__(self) -> str:
        return f"{self.resolution} px, width {self.width:g}, batch {self.batch}, n_dis {self.n_dis}"


CASES = [
    Case(16, 0.05, 4, 1, 60),  # little to compute and to send: the cost of a call
    Case(16, 1.0, 1, 1, 10),  # many weights, few images: the gradients' way
    Case(16, 0.25, 16, 5, 10),
    Case(32, 0.25, 16, 5, 4),  # mostly convolutions
]


class Clock(pl.Callback):
    """(wall, CPU) seconds per generator step, from the end of step `first` to that of the last."""

    def __init__(self, first: int) -> None:
        self.first = first

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *arguments: Any) -> None:
        if pl_module.g_step == self.first:
            self.start = now("cpu")
        elif pl_module.g_step == pl_module.steps:
            steps = pl_module.steps - self.first
            self.seconds = tuple((b - a) / steps for a, b in zip(self.start, now("cpu"), strict=True))


def train(strategy: Callable[[], Any], case: Case, warm_up: int) -> tuple[GAN, tuple[float, ...]]:
    """Return the trained GAN, and this process's (wall, CPU) seconds per generator step."""
    torch.manual_seed(0)
    gan = GAN(
        case.resolution,
        1,
        architecture=Architecture(width=case.width),
        optimization=Optimization(n_dis=case.n_dis, steps=warm_up + case.steps),
    )
    clock = Clock(warm_up)
    with tempfile.TemporaryDirectory() as folder:
        settings = TRAINER_DEFAULTS | {"devices": PROCESSES, "strategy": strategy()}
        trainer = pl.Trainer(
            **settings,
            limit_val_batches=0,
            accelerator="cpu",
            logger=MetricsFile(Path(folder) / "metrics.csv"),
            enable_checkpointing=False,
            enable_progress_bar=False,
            callbacks=[FiniteCheck(), clock],
        )
        trainer.fit(gan, Digits(case.resolution, case.batch))
    return gan, clock.seconds


def compare(case: Case, rounds: int, warm_up: int) -> dict[str, Any]:
    """Run every strategy in every round, on all processes."""
    found: dict[str, Any] = {"seconds": {name: [] for name in STRATEGIES}, "unlike": {}}
    trained = {}
    for number in range(rounds):
        names = list(STRATEGIES)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            gan, (wall, cpu) = train(STRATEGIES[name], case, warm_up)
            total = torch.tensor(cpu, dtype=torch.float64)
            dist.all_reduce(total)
            found["seconds"][name].append((wall, float(total)))
            trained[name] = gan
    for name, gan in trained.items():
        found["unlike"][name] = {"weights": unlike(gan.parameters()), "buffers": unlike(gan.buffers())}
    pairs = zip(trained[OURS].parameters(), trained[LIGHTNING].parameters(), strict=True)
    found["difference"] = max(float((a - b).detach().abs().max()) for a, b in pairs)
    found["parameters"] = {
        name: sum(p.numel() for p in getattr(trained[OURS], name).parameters())
        for name in ("generator", "discriminator")
    }
    return found


def unlike(tensors: Iterable[Tensor]) -> int:
    """Return how many tensors differ between another process and the first."""
    flags = []
    for tensor in tensors:
        first = tensor.detach().clone()
        dist.broadcast(first, 0)
        flags.append(not torch.equal(first, tensor))
    counts = torch.tensor(flags, dtype=torch.int64)
    dist.all_reduce(counts, op=dist.ReduceOp.MAX)
    return int(counts.sum())


def attempt(name: str) -> str:
    """Return the error of training under one of OTHERS. Runs on all processes."""
    try:
        train(OTHERS[name], Case(16, 0.05, 4, 2, 4), 1)
    except RuntimeError as error:
        return f"{type(error).__name__}: {str(error).strip().partition('. ')[0]}"
    return "trained"


def on_processes(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what the function returns on the first of two connected processes."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        result = Path(folder) / "result.json"
        torch.multiprocessing.spawn(_work, (port, result, function, arguments), PROCESSES)
        return json.loads(result.read_text())


def _work(rank: int, port: int, result: Path, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    quiet()
    torch.set_num_threads(1)
    # As torchrun does, so that Lightning starts no processes of its own.
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "ddp_cost"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0"}
    os.environ |= {"WORLD_SIZE": str(PROCESSES), "LOCAL_WORLD_SIZE": str(PROCESSES)}
    dist.init_process_group("gloo", timeout=datetime.timedelta(minutes=5))
    found = function(*arguments)
    if rank == 0:
        result.write_text(json.dumps(found))
    # A process that ends while the other still listens is aborted at times.
    dist.barrier()
    dist.destroy_process_group()


def report(case: Case, found: dict[str, Any]) -> None:
    for name, times in found["seconds"].items():
        cells = [str(case), name]
        for index in range(2):
            middle, spread = middle_and_spread([1e3 * each[index] for each in times])
            ratio = middle_and_spread(
                [base[index] / each[index] for base, each in zip(found["seconds"][LIGHTNING], times, strict=True)]
            )
            cells.append(f"{middle:.4g} +- {spread:.2g}")
            cells.append("" if name == LIGHTNING else "{:.2f} +- {:.2f}".format(*ratio))
        steps = 1e3 / float(cells[2].partition(" ")[0])
        print("| " + " | ".join([*cells[:2], f"{steps:.3g}", *cells[2:]]) + " |", flush=True)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="*", default=list(range(1, len(CASES) + 1)), help="numbers from 1")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, help="generator steps of each in a round; the case's own when not given")
    parser.add_argument("--warm-up", type=int, default=2, help="generator steps before them")
    arguments = parser.parse_args(words)
    quiet()
    torch.set_num_threads(1)
    print(in_words(environment("cpu")) + " a process")
    print(f"{PROCESSES} gloo processes, spectral norm, hinge; {arguments.rounds} rounds\n")
    print("| per process | strategy | G steps/s | ms per G step | ratio | CPU ms, both | ratio |")
    print("|---" * 7 + "|", flush=True)
    results = []
    for number in arguments.cases:
        case = CASES[number - 1]
        case = replace(case, steps=arguments.steps or case.steps)
        results.append((case, found := on_processes(compare, case, arguments.rounds, arguments.warm_up)))
        report(case, found)
    print("\n| per process | weights G, D | MiB averaged per G step: ours, theirs | largest difference of weights |")
    print("|---" * 4 + "|")
    for case, found in results:
        of_g, of_d = found["parameters"].values()
        volumes = (of_g + case.n_dis * of_d, (1 + case.n_dis) * (of_g + of_d))
        counts = ", ".join(f"{volume * 4 / 2**20:.2g}" for volume in volumes)
        after = f"{found['difference']:.2g} after {arguments.warm_up + case.steps} steps"
        print(f"| {case} | {of_g}, {of_d} | {counts} | {after} |")
    print("\n| per process | strategy | weights not alike on both processes | buffers |\n" + "|---" * 4 + "|")
    for case, found in results:
        for name, counts in found["unlike"].items():
            print(f"| {case} | {name} | {counts['weights']} | {counts['buffers']} |")
    print("\n| other forms of DDP | what happens |\n|---|---|", flush=True)
    for name in OTHERS:
        print(f"| {name} | {on_processes(attempt, name)} |", flush=True)


if __name__ == "__main__":
    main()
