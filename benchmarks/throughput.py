"""Generator steps a second of SNGAN-32: this package and torch-mimicry's loop take turns in one run.

    python benchmarks/throughput.py --device cpu --steps 5
    python benchmarks/throughput.py --device cuda --steps 400 --window 20
    python benchmarks/throughput.py --batch 2 --width 0.05 --steps 2 --images 64   # smoke

Ours is the GAN under Lightning's Trainer with the command line's settings, logger and checks, on random bytes of
CIFAR-10's shape; mimicry's loop is that of mimicry_loop.py, with mimicry's own classes where --mimicry names a folder
that they were installed into. Both take turns, a window of steps each, so that other work
on the machine meets both; ratios are of neighbouring windows. "CPU" is the process's CPU time, which a busy machine
changes less than the clock; it leaves out mimicry's loader processes. Spreads are half the interquartile range.

The profile is of further steps with the clock stopped at the seams, of all norms and of none: what a norm costs is the
discriminator's time above none's.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import logging
import statistics
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from environment import environment, in_words
from mimicry_loop import InstalledMimicry, MimicryLoop
from torch import Tensor
from torch.utils.data import TensorDataset

import gan_convnorm.gan.adversarial_training
from gan_convnorm.callbacks import FiniteCheck
from gan_convnorm.cli.gan import TRAINER_DEFAULTS
from gan_convnorm.data import ImageData
from gan_convnorm.gan import GAN, Architecture, Optimization
from gan_convnorm.run_folder import MetricsFile

N_DIS = 5


class RandomImages(ImageData):
    """A data module of images in memory, uint8 (N, 3, H, H)."""

    name = "random"

    def __init__(self, images: Tensor, batch_size: int) -> None:
        super().__init__(images.shape[-1], channels=3, num_classes=None, batch_size=batch_size, seed=0)
        self.train_set, self.test_set = TensorDataset(images), None


class Turns(pl.Callback):
    """A callback that lets the other loop run after every window, and records (wall, CPU) seconds per step of both.

    The last of the callbacks: from one of its calls to the next is all that Lightning does for a step. The first
    window of each is not noted; `after_first` is called after it.
    """

    def __init__(
        self,
        device: str,
        window: int = 1,
        other: Callable[[], object] | None = None,
        after_first: Callable[[], object] = lambda: None,
    ) -> None:
        self.device, self.window, self.other, self.after_first = device, window, other, after_first
        self.ours: list[tuple[float, ...]] = []
        self.others: list[tuple[float, ...]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.start = now(self.device)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *arguments: Any) -> None:
        if pl_module.g_step % self.window:
            return
        first = pl_module.g_step == self.window
        self._note(self.ours, first)
        if self.other is not None:
            for _ in range(self.window):
                self.other()
            self._note(self.others, first)
        if first:
            self.after_first()
            self.start = now(self.device)

    def _note(self, times: list[tuple[float, ...]], first: bool) -> None:
        end = now(self.device)
        if not first:
            times.append(tuple((b - a) / self.window for a, b in zip(self.start, end, strict=True)))
        self.start = now(self.device)


def now(device: str) -> tuple[float, float]:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def clock_of(device: str) -> int:
    """Return which of (wall, CPU) seconds to read: CPU on a CPU, where other programs run; wall on a GPU."""
    return 0 if device == "cuda" else 1


def sngan(
    norm: str, images: Tensor, arguments: argparse.Namespace, steps: int, **options: Any
) -> tuple[GAN, ImageData]:
    """Return SNGAN-32 and its data with default settings."""
    torch.manual_seed(0)
    architecture = Architecture(width=arguments.width, disc_norm=norm)
    gan = GAN(32, 3, None, architecture, Optimization(n_dis=N_DIS, steps=steps), **options)
    return gan, RandomImages(images, arguments.batch)


def fit(gan: GAN, data: ImageData, callback: pl.Callback, device: str, precision: str = "32-true") -> None:
    """Train with the command line's settings, without evaluation."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            **TRAINER_DEFAULTS,
            limit_val_batches=0,
            accelerator="gpu" if device == "cuda" else "cpu",
            precision=precision,
            logger=MetricsFile(Path(folder) / "metrics.csv"),
            enable_checkpointing=False,
            enable_progress_bar=False,
            callbacks=[FiniteCheck(), callback],
        )
        trainer.fit(gan, data)


def compare(norm: str, images: Tensor, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run windows of both loops in turns; return seconds per generator step and their ratios."""
    device, window = arguments.device, arguments.window
    given = (images, arguments.batch, N_DIS, arguments.width, arguments.workers, device)
    other = InstalledMimicry(arguments.mimicry, *given) if arguments.mimicry else MimicryLoop(*given)
    turns = Turns(device, window, other.step)
    try:
        fit(*sngan(norm, images, arguments, arguments.steps + window), turns, device)
    finally:
        other.close()
    result: dict[str, Any] = {"norm": norm, "windows": len(turns.ours)}
    for index, clock in enumerate(("wall", "cpu")):
        ours, theirs = ([times[index] for times in both] for both in (turns.ours, turns.others))
        result[f"ours_{clock}_s"] = middle_and_spread(ours)
        result[f"mimicry_{clock}_s"] = middle_and_spread(theirs)
        result[f"ratio_{clock}"] = middle_and_spread([b / a for a, b in zip(ours, theirs, strict=True)])
    return result


def middle_and_spread(values: list[float]) -> tuple[float, float]:
    lower, middle, upper = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return middle, (upper - lower) / 2


@contextlib.contextmanager
def sections(gan: GAN, data: ImageData, device: str) -> Iterator[dict[str, float]]:
    """Collect seconds by part of the step while the block runs: CPU time on a CPU, wall time on a GPU."""
    spent: dict[str, float] = defaultdict(float)
    clock = clock_of(device)
    network = ["D"]

    def timed(function: Callable[..., Any], name: Callable[[], str]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            start = now(device)[clock]
            label = name()
            try:
                return function(*args, **kwargs)
            finally:
                spent[label] += now(device)[clock] - start

        return run

    def of_generator() -> str:
        network[0] = "G"
        return "G step: D forward"

    def of_discriminator() -> str:
        network[0] = "D"
        return "D steps: D forward"

    def fakes() -> str:
        return "G step: G forward" if torch.is_grad_enabled() else "D steps: fakes"

    gan._fakes = timed(gan._fakes, fakes)
    gan.objective.discriminator_loss = timed(gan.objective.discriminator_loss, of_discriminator)
    gan.objective.generator_loss = timed(gan.objective.generator_loss, of_generator)
    gan.manual_backward = timed(
        gan.manual_backward, lambda: "G step: backward" if network[0] == "G" else "D steps: D backward"
    )
    gan._average_weights = timed(gan._average_weights, lambda: "average of G")
    data.transfer_batch_to_device = timed(data.transfer_batch_to_device, lambda: "data")
    to_images, configure = gan_convnorm.gan.adversarial_training.bytes_to_images, gan.configure_optimizers
    gan_convnorm.gan.adversarial_training.bytes_to_images = timed(to_images, lambda: "data")

    def with_timed_steps() -> Any:
        optimizers, schedules = configure()
        for optimizer in optimizers:
            optimizer.step = timed(optimizer.step, lambda: "Adam")
        return optimizers, schedules

    gan.configure_optimizers = with_timed_steps
    try:
        yield spent
    finally:
        gan_convnorm.gan.adversarial_training.bytes_to_images = to_images


def profile(norm: str, images: Tensor, arguments: argparse.Namespace, steps: int) -> dict[str, float]:
    """Return seconds per generator step by part."""
    gan, data = sngan(norm, images, arguments, steps + 1)
    with sections(gan, data, arguments.device) as spent:
        turns = Turns(arguments.device, after_first=spent.clear)
        fit(gan, data, turns, arguments.device)
        parts = {name: seconds / steps for name, seconds in spent.items()}
    total = statistics.mean(times[clock_of(arguments.device)] for times in turns.ours)
    # Gradients zeroed, losses logged, weights checked, and Lightning's loop.
    return {**parts, "the rest": total - sum(parts.values()), "all": total}


def operations(norm: str, images: Tensor, arguments: argparse.Namespace) -> str:
    """Return torch.profiler's table of one generator step."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if arguments.device == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    profiler = torch.profiler.profile(activities=activities)

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, *arguments: Any) -> None:
            if pl_module.g_step == 1:
                profiler.start()

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *arguments: Any) -> None:
            if pl_module.g_step == 2:
                profiler.stop()

    fit(*sngan(norm, images, arguments, 2), Watch(), arguments.device)
    key = "self_device_time_total" if arguments.device == "cuda" else "self_cpu_time_total"
    spent = {row.key: (getattr(row, key), row.count) for row in profiler.key_averages()}
    total = sum(spent_us for spent_us, _ in spent.values())
    lines = ["| operation | calls | share of the step |", "|---|---|---|"]
    for name, (spent_us, calls) in sorted(spent.items(), key=lambda row: -row[1][0])[:12]:
        lines.append(f"| {name} | {calls} | {spent_us / total:.1%} |")
    return "\n".join(lines)


def quiet() -> None:
    """Silence Lightning's hints."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")


def random_images(count: int) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 32, 32), generator=random, dtype=torch.uint8)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--norms", nargs="*", default=["spectral", "convnorm"])
    parser.add_argument("--batch", type=int, default=64, help="batch size of both networks")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=5, help="measured generator steps of each loop")
    parser.add_argument("--window", type=int, default=1, help="generator steps in a turn")
    parser.add_argument(
        "--profile-steps", type=int, default=2, help="generator steps of each profile; 0 for no profile"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes of mimicry's loader")
    parser.add_argument("--mimicry", type=Path, help="folder with the installed package torch_mimicry")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--json", type=Path, help="file for the results")
    arguments = parser.parse_args(words)
    quiet()
    settings = {name: value for name, value in vars(arguments).items() if name not in ("json", "mimicry")}
    settings["mimicry"] = "its own classes" if arguments.mimicry else "mimicry_loop.py"
    results: dict[str, Any] = {"environment": environment(arguments.device), "settings": settings}
    print(in_words(results["environment"]))
    sizes = f"batch {arguments.batch}, width {arguments.width:g}, n_dis {N_DIS}"
    print(f"{sizes}, hinge; {arguments.steps} steps of each in windows of {arguments.window}")
    print(f"mimicry: {settings['mimicry']}\n")
    images = random_images(arguments.images)
    print("| discriminator's norm | ours, s per G step | CPU s | mimicry, s per G step | CPU s | ratio | CPU ratio |")
    print("|---|---|---|---|---|---|---|", flush=True)
    results["comparison"] = []
    for norm in arguments.norms:
        results["comparison"].append(found := compare(norm, images, arguments))
        names = ("ours_wall_s", "ours_cpu_s", "mimicry_wall_s", "mimicry_cpu_s", "ratio_wall", "ratio_cpu")
        print(f"| {norm} | " + " | ".join("{:.3g} +- {:.2g}".format(*found[name]) for name in names) + " |", flush=True)
    if arguments.profile_steps:
        results["profile"] = report_profiles(images, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


def report_profiles(images: Tensor, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    norms = [*arguments.norms, "none"]
    profiles = {norm: profile(norm, images, arguments, arguments.profile_steps) for norm in norms}
    for name, parts in profiles.items():
        of_d = {norm: sum(s for part, s in profiles[norm].items() if ": D " in part) for norm in (name, "none")}
        parts["of which the norm (D above none's)"] = of_d[name] - of_d["none"]
    print(f"\nWhere a step goes, {'wall' if arguments.device == 'cuda' else 'CPU'} ms (share):\n")
    print("| part | " + " | ".join(norms) + " |\n|---|" + "---|" * len(norms))
    for part in profiles[norms[0]]:
        cells = [f"{1e3 * p.get(part, 0):.1f} ({p.get(part, 0) / p['all']:.1%})" for p in profiles.values()]
        print(f"| {part} | " + " | ".join(cells) + " |", flush=True)
    for norm in arguments.norms:
        print(f"\nOperations of one step, {norm}:\n\n{operations(norm, images, arguments)}", flush=True)
    return profiles


if __name__ == "__main__":
    main()
