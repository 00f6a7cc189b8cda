"""Time to measure a convolution: every method and the full circular SVD take turns in one run.

    python benchmarks/operators_cost.py --repeats 5
    python benchmarks/operators_cost.py --device cuda --repeats 20

Kernels are Glorot initialized, the hardest case: their largest singular values are close together. "warm" starts from
the singular vector found before every weight moved by a random step of 1 % of the weights' size. Power iteration is
stopped by an oracle as soon as it is within 1e-3, which no rule could do. Times are medians over the repeats, in which
every method runs once in turn; the spread is half the interquartile range. Then: the share of OperatorNormLog in the
training of the default digits GAN.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from environment import environment, in_words
from torch import nn

from gan_convnorm.callbacks import OperatorNormLog
from gan_convnorm.data import Digits
from gan_convnorm.gan import GAN, Architecture, Optimization
from gan_convnorm.layers import ConvNorm2d
from gan_convnorm.operators import (
    certified_bound,
    condition_number,
    layer_operator,
    measure_operator,
    singular_values,
    sum_bound,
)
from gan_convnorm.operators.kernel import kernel_of

# class, in channels, out channels, pixels.
SHAPES: dict[str, tuple[type[nn.Module], int, int, int]] = {
    "32->32 @16": (nn.Conv2d, 32, 32, 16),
    "3->128 @32": (nn.Conv2d, 3, 128, 32),
    "128->128 @32": (nn.Conv2d, 128, 128, 32),
    "128->128 @8": (nn.Conv2d, 128, 128, 8),
    "ConvNorm 128->128 @32": (ConvNorm2d, 128, 128, 32),
}
REFERENCE = "all singular values, circular"
STEP = 0.01


def power_iteration(layer: nn.Module, size: tuple[int, int], true: float) -> int:
    """Return the number of runs of A and A^T until the norm is within 1e-3 of the true one."""
    weight = layer.weight.detach()
    image = torch.randn(1, layer.in_channels, *size, device=weight.device, generator=_generator(weight))
    for count in range(1, 2000):
        image = image / image.norm()
        output = nn.functional.conv2d(image, weight, padding=1)
        if float(output.norm()) >= (1 - 1e-3) * true:
            return count
        image = nn.functional.conv_transpose2d(output, weight, padding=1)
    return 2000


def _generator(tensor: torch.Tensor) -> torch.Generator:
    return torch.Generator(tensor.device).manual_seed(0)


def methods(layer: nn.Module, size: tuple[int, int]) -> dict[str, Callable[[], Any]]:
    """Return every method, as a function that returns its result or its number of iterations."""
    before = measure_operator(layer_operator(layer, size)).vector
    with torch.no_grad():
        weight = layer.weight
        weight += STEP * weight.std() * torch.randn(weight.shape, device=weight.device, generator=_generator(weight))
    true = measure_operator(layer_operator(layer, size), tolerance=1e-6).value
    found: dict[str, Callable[[], Any]] = {
        "operator norm to 1e-3, cold": lambda: measure_operator(layer_operator(layer, size)).iterations,
        "operator norm to 1e-3, warm": lambda: measure_operator(layer_operator(layer, size), start=before).iterations,
        "operator norm to 1e-2, cold": lambda: measure_operator(layer_operator(layer, size), tolerance=1e-2).iterations,
        "operator norm to 1e-2, warm": lambda: (
            measure_operator(layer_operator(layer, size), tolerance=1e-2, start=before).iterations
        ),
        "certified bound, Gram iteration": lambda: f"{certified_bound(layer, size) / true - 1:+.1%}",  # type: ignore[operator]
        "condition number, circular": lambda: condition_number(layer, size) and "",
        "condition number, circular, 8x8": lambda: condition_number(layer, (8, 8)) and "",
        REFERENCE: lambda: f"{float(singular_values(layer, size)[0]) / true - 1:+.1%}",
    }
    if type(layer) is nn.Conv2d:
        found["power iteration to 1e-3, oracle stop"] = lambda: power_iteration(layer, size, true)
        found["certified bound, sums"] = lambda: f"{sum_bound(kernel_of(layer)) / true - 1:+.1%}"  # type: ignore[arg-type]
    return found


def timed(method: Callable[[], Any], device: str) -> tuple[float, Any]:
    synchronize = torch.cuda.synchronize if device == "cuda" else lambda: None
    synchronize()
    start = time.perf_counter()
    found = method()
    synchronize()
    return time.perf_counter() - start, found


def spread(values: list[float]) -> float:
    if len(values) < 2:
        return 0.0
    lower, _, upper = statistics.quantiles(values, n=4)
    return (upper - lower) / 2


class Timed(OperatorNormLog):
    """A OperatorNormLog that records the time of its measurements."""

    def __init__(self, folder: Path, every: int) -> None:
        super().__init__(folder, every)
        self.seconds: list[float] = []

    def _measure(self, trainer: pl.Trainer, step: int) -> None:
        seconds, _ = timed(lambda: super(Timed, self)._measure(trainer, step), trainer.strategy.root_device.type)
        self.seconds.append(seconds)


class Steps(pl.Callback):
    """A callback that records the time of training steps."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_batch_start(self, *args: Any) -> None:
        self.start = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - self.start)


def share_of_log(norm: str, device: str, steps: int, options: dict[str, Any]) -> str:
    """Return the share of training time that warm measurements take at the log's default interval."""
    pl.seed_everything(0, verbose=False)
    with tempfile.TemporaryDirectory() as folder:
        log, clock = Timed(Path(folder), steps // 4), Steps()
        trainer = pl.Trainer(
            max_epochs=-1,
            accelerator="gpu" if device == "cuda" else "cpu",
            devices=1,
            logger=False,
            callbacks=[clock, log],  # in this order: the steps' time is without the log's
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
        )
        data = Digits(batch_size=options.get("batch_size", 32), resolution=options.get("resolution", 16))
        architecture = Architecture(disc_norm=norm, width=options.get("width", 0.25))
        optimization = Optimization(steps=steps, n_dis=options.get("n_dis", 1))
        gan = GAN(data.resolution, architecture=architecture, optimization=optimization)
        trainer.fit(gan, datamodule=data)
        default = OperatorNormLog(Path(folder)).every
    measure, step = statistics.median(log.seconds[1:]), statistics.median(clock.seconds)
    cells = [f"{1e3 * log.seconds[0]:.0f}", f"{1e3 * measure:.0f} +- {1e3 * spread(log.seconds[1:]):.0f}"]
    cells += [f"{1e3 * step:.1f} +- {1e3 * spread(clock.seconds):.1f}", f"{measure / (default * step):.2%}"]
    return " | ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--shapes", nargs="*", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--steps", type=int, default=60, help="steps of the training in which OperatorNormLog is timed")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    device = arguments.device
    print(f"{in_words(environment(device))}, {arguments.repeats} repeats\n")
    print(
        f"| shape, 3x3, padding 1 | method | ms | times faster than {REFERENCE} | iterations, or excess over the norm |"
    )
    print("|---|---|---|---|---|")
    for name in arguments.shapes:
        torch.manual_seed(0)
        kind, c_in, c_out, pixels = SHAPES[name]
        layer = kind(c_in, c_out, 3, padding=1)
        nn.init.xavier_uniform_(layer.weight)
        every = methods(layer.to(device), (pixels, pixels))
        times: dict[str, list[float]] = {method: [] for method in every}
        found: dict[str, Any] = {}
        for repeat in range(arguments.repeats + 1):
            for method, function in every.items():
                seconds, found[method] = timed(function, device)
                if repeat:
                    times[method].append(seconds)
        reference = statistics.median(times[REFERENCE])
        for method, seconds in times.items():
            median = statistics.median(seconds)
            cells = [f"{1e3 * median:.1f} +- {1e3 * spread(seconds):.1f}", f"{reference / median:.1f}"]
            print(f"| {name} | {method} | " + " | ".join([*cells, str(found[method])]) + " |")
            sys.stdout.flush()
    print("\n| training | first measurement ms | later ones ms | G step ms | share at the default interval |")
    print("|---|---|---|---|---|")
    published: dict[str, Any] = {"width": 1.0, "resolution": 32, "n_dis": 5, "batch_size": 64}
    for norm in ("spectral", "convnorm"):
        print(f"| digits default, {norm} | {share_of_log(norm, device, arguments.steps, {})} |")
        if device == "cuda":
            print(f"| width 1, 32x32, n_dis 5, batch 64, {norm} | {share_of_log(norm, device, 40, published)} |")


if __name__ == "__main__":
    main()
