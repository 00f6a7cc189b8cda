"""All GPU measurements in under 9 minutes: a table, and JSON with --json.

    python benchmarks/gpu_suite.py --json suite.json
    python benchmarks/gpu_suite.py --smoke       # on any machine, in seconds: small sizes, whose numbers mean nothing

- layers: forward and backward of the normalized convolutions (convnorm_cost.py), and of convolutions that are one
  with a resampling beside two operations;
- speed: generator steps a second of SNGAN-32 with default settings, by norm, precision and compilation, and
  torch-mimicry's loop (throughput.py);
- equality: the losses of the same training again, compiled, and in bf16-mixed, beside those of float32;
- training: a short run on the digits, and its FID.

A part that fails, or for which no time is left, is a line of the table; the others go on. The exit status is 1 then,
and where losses are further apart than their tolerance.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import convnorm_cost
import pytorch_lightning as pl
import torch
import torch._dynamo
from throughput import N_DIS, RandomImages, Turns, compare, environment, fit, middle_and_spread, quiet, random_images
from torch import Tensor, nn
from torch.nn import functional as F

from gan_convnorm.data import Digits
from gan_convnorm.fidelity import create_extractor, evaluate
from gan_convnorm.gan import GAN, Architecture, Optimization
from gan_convnorm.networks.blocks import convolve_and_pool, upsample_and_convolve

#: largest mean difference of the losses of 50 steps to those of float32, over the mean of float32's own values;
#: at width 0.1 on a CPU bf16-mixed was 2e-3 (spectral) and 1.1e-2 (convnorm) away, and the same again 0
TOLERANCES = {"again": 0.02, "compiled": 0.02, "bf16-mixed": 0.05}

Rows = list[dict[str, Any]]


def layer_costs(arguments: argparse.Namespace) -> Rows:
    device, repeats = arguments.device, 2 if arguments.smoke else 30
    shapes = {"smoke": (4, 4, 8, 3, 1)} if arguments.smoke else convnorm_cost.SHAPES
    rows = []
    for shape_name, shape in shapes.items():
        names = [name for name in convnorm_cost.LAYERS if shape[4] > 1 or not name.endswith("folded")]
        built = {name: convnorm_cost.build(name, shape, device) for name in names}
        actions = {name: lambda pair=pair: convnorm_cost.run(*pair) for name, pair in built.items()}
        times = interleaved(actions, repeats, device)
        base = statistics.median(times[convnorm_cost.BASE])
        for name, values in times.items():
            middle, half = middle_and_spread(values)
            what = f"{shape_name}: {name}"
            rows.append(row(what, f"{1e3 * middle:.3f} +- {1e3 * half:.3f} ms, {middle / base:.2f} of BatchNorm's"))
    return rows


def resampling_costs(arguments: argparse.Namespace) -> Rows:
    device, repeats, batch = arguments.device, 2 if arguments.smoke else 30, 2 if arguments.smoke else 64
    rows = []
    for channels, size, name in ((256, 4, "up"), (256, 16, "up"), (128, 32, "down"), (128, 16, "down")):
        for dtype in (torch.float32, torch.bfloat16)[: 1 if arguments.smoke else 2]:
            channels = 8 if arguments.smoke else channels
            conv = nn.Conv2d(channels, channels, 3, padding=1, device=device, dtype=dtype)
            conv.to(memory_format=torch.channels_last)
            images = torch.randn(batch, channels, size, size, device=device, dtype=dtype)
            images = images.to(memory_format=torch.channels_last).requires_grad_()
            one = upsample_and_convolve if name == "up" else convolve_and_pool
            actions = {
                "one": lambda one=one, conv=conv, images=images: backward(one(conv, images)),
                "two": lambda name=name, conv=conv, images=images: backward(two_operations(name, conv, images)),
            }
            times = interleaved(actions, repeats, device)
            ratio, half = middle_and_spread([b / a for a, b in zip(*times.values(), strict=True)])
            what = f"{name} {channels} @{size} {str(dtype).removeprefix('torch.')}"
            rows.append(row(what, f"{ratio:.2f} +- {half:.2f} times faster than two operations"))
    return rows


def two_operations(name: str, conv: nn.Module, images: Tensor) -> Tensor:
    if name == "up":
        return conv(F.interpolate(images, scale_factor=2.0, mode="nearest"))
    return F.avg_pool2d(conv(images), 2)


def backward(output: Tensor) -> None:
    output.backward(torch.ones_like(output))


def interleaved(actions: dict[str, Callable[[], object]], repeats: int, device: str) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in actions}
    for repeat in range(repeats + 2):
        for name, action in actions.items():
            start = clock(device)
            action()
            if repeat > 1:
                times[name].append(clock(device) - start)
    return times


def clock(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def speed(norm: str, precision: str, compiled: bool) -> Callable[[argparse.Namespace], Rows]:
    def part(arguments: argparse.Namespace) -> Rows:
        torch._dynamo.reset()
        turns = Turns(arguments.device, arguments.window)
        torch.manual_seed(0)
        architecture = Architecture(width=arguments.width, disc_norm=norm)
        optimization = Optimization(n_dis=N_DIS, steps=arguments.steps + arguments.window)
        gan = GAN(32, 3, None, architecture, optimization, compile_networks=compiled)
        fit(gan, RandomImages(random_images(arguments.images), arguments.batch), turns, arguments.device, precision)
        middle, half = middle_and_spread([1 / wall for wall, _ in turns.ours])
        return [row("", f"{middle:.2f} +- {half:.2f} G steps/s", windows=len(turns.ours), steps_per_second=middle)]

    return part


def beside_mimicry(norm: str) -> Callable[[argparse.Namespace], Rows]:
    def part(arguments: argparse.Namespace) -> Rows:
        found = compare(norm, random_images(arguments.images), arguments)
        ratio, half = found["ratio_wall"]
        return [
            row(
                "", f"{ratio:.2f} +- {half:.2f} times mimicry's {1 / found['mimicry_wall_s'][0]:.2f} G steps/s", **found
            )
        ]

    return part


def equality(norm: str, *runs: tuple[str, str, bool]) -> Callable[[argparse.Namespace], Rows]:
    """Compare the losses of runs (name, precision, whether compiled) with those of float32."""

    def part(arguments: argparse.Namespace) -> Rows:
        steps = 3 if arguments.smoke else 50

        def losses(precision: str, compiled: bool) -> Tensor:
            torch._dynamo.reset()
            torch.manual_seed(0)
            architecture = Architecture(width=arguments.small_width, disc_norm=norm)
            optimization = Optimization(steps=steps, gen_lr=2e-4, disc_lr=2e-4)
            gan = GAN(architecture=architecture, optimization=optimization, compile_networks=compiled)
            record = Losses()
            fit(gan, Digits(batch_size=8 if arguments.smoke else 32), record, arguments.device, precision)
            return torch.stack(record.losses).float().cpu()

        expected = losses("32-true", False)
        rows = []
        for name, precision, compiled in runs:
            difference = float((losses(precision, compiled) - expected).abs().mean() / expected.abs().mean())
            good = difference <= TOLERANCES[name]
            result = f"losses differ by {difference:.1e} of their mean, {'within' if good else 'NOT WITHIN'} "
            rows.append(row(name, result + f"{TOLERANCES[name]:g}", good=good, difference=difference, steps=steps))
        return rows

    return part


class Losses(pl.Callback):
    def __init__(self) -> None:
        self.losses: list[Tensor] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *arguments: Any) -> None:
        self.losses.append(torch.stack([outputs["d_loss"], outputs["g_loss"]]).detach())


def training(norm: str) -> Callable[[argparse.Namespace], Rows]:
    def part(arguments: argparse.Namespace) -> Rows:
        steps, fakes = (2, 32) if arguments.smoke else (1000, 2000)
        torch.manual_seed(0)
        architecture = Architecture(width=arguments.small_width, disc_norm=norm)
        gan = GAN(architecture=architecture, optimization=Optimization(steps=steps))
        data = Digits()
        start = clock(arguments.device)
        fit(gan, data, pl.Callback(), arguments.device)
        seconds = clock(arguments.device) - start
        images, labels = data.train_set.tensors
        extractor = create_extractor("classifier", labelled=(images, labels), metrics=["fid"], device=arguments.device)
        scores = evaluate(gan.sample(fakes), images, metrics="fid", extractor=extractor, device=arguments.device)
        result = f"FID {scores.values['fid']:.1f} after {steps} G steps in {seconds:.0f} s; {scores.meaning()}"
        return [row("", result, fid=scores.values["fid"], g_steps=steps, seconds=seconds)]

    return part


def row(what: str, result: str, **figures: Any) -> dict[str, Any]:
    return {"what": what, "result": result, **figures}


def parts(smoke: bool) -> dict[str, Callable[[argparse.Namespace], Rows]]:
    """Return the parts, the most useful first and the longest last."""
    norms = ("convnorm",) if smoke else ("spectral", "convnorm")
    found: dict[str, Callable[[argparse.Namespace], Rows]] = {}
    for norm in norms:
        found[f"{norm}, float32, beside mimicry"] = beside_mimicry(norm)
    for norm in norms:
        for precision in ("32-true", "bf16-mixed"):
            found[f"{norm}, {precision}"] = speed(norm, precision, False)
    found["resampling"] = resampling_costs
    found["layer"] = layer_costs
    for norm in norms:
        found[f"training, {norm}"] = training(norm)
    for norm in norms:
        runs = ("again", "32-true", False), ("bf16-mixed", "bf16-mixed", False)
        found[f"equality, {norm}"] = equality(norm, *runs)
    if not smoke:  # compilers take minutes
        for norm in norms:
            found[f"equality, {norm}, compiled"] = equality(norm, ("compiled", "32-true", True))
        for norm in norms:
            for precision in ("32-true", "bf16-mixed"):
                found[f"{norm}, {precision}, compiled"] = speed(norm, precision, True)
    return found


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise TimeoutError inside the block when the time is over."""

    def stop(*arguments: object) -> None:
        raise TimeoutError("no time was left")

    if seconds <= 0:
        stop()
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    parser.add_argument("--only", nargs="*", help="only the parts whose names contain one of these words")
    parser.add_argument("--minutes", type=float, default=8.5, help="minutes after which unfinished parts are given up")
    parser.add_argument("--json", type=Path, help="file for the results")
    arguments = parser.parse_args(words)
    sizes = {"batch": 64, "width": 1.0, "steps": 60, "window": 10, "images": 50_000, "workers": 4, "small_width": 0.25}
    if arguments.smoke:
        sizes = {"batch": 2, "width": 0.05, "steps": 1, "window": 1, "images": 64, "workers": 0, "small_width": 0.05}
    vars(arguments).update(sizes)
    if arguments.smoke:
        convnorm_cost.BATCH = 2
    quiet()
    found = environment(arguments.device)
    print(", ".join(f"{name} {value}" for name, value in found.items()) + "\n\n| part | result | s |\n|---|---|---|")
    results: Rows = []
    start = time.monotonic()
    for name, part in parts(arguments.smoke).items():
        if arguments.only and not any(word in name for word in arguments.only):
            continue
        began = time.monotonic()
        try:
            with deadline(60 * arguments.minutes - (began - start)):
                rows = part(arguments)
        except Exception as error:
            message = " ".join(str(error).split())[:200]
            rows = [row("", f"FAILED: {type(error).__name__}: {message}", good=False)]
        seconds = time.monotonic() - began
        for each in rows:
            each["part"] = name
            what = ", ".join(filter(None, (name, each["what"])))
            print(f"| {what} | {each['result']} | {seconds:.1f} |", flush=True)
        results += rows
    if arguments.json:
        text = json.dumps({"environment": found, "sizes": sizes, "results": results}, indent=2)
        arguments.json.write_text(text + "\n")
    return 0 if all(each.get("good", True) for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
