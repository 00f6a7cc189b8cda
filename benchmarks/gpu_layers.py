"""Layer costs of the GPU suite: by precision, compiled, by way, by the radius of a truncated filter, and resampling."""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import convnorm_cost
import torch
from convnorm_paths import NARROW, WAYS, Forced, forced, name_of
from throughput import middle_and_spread
from torch import Tensor, nn
from torch.nn import functional as F

from gan_convnorm.layers import ConvNorm2d
from gan_convnorm.layers.convnorm import methods
from gan_convnorm.layers.convnorm.truncation import Truncated
from gan_convnorm.networks.blocks import convolve_and_pool, upsample_and_convolve

Rows = list[dict[str, Any]]
SMOKE = (4, 4, 8, 3, 1)
#: layers that are compared in every precision
IN_EVERY_PRECISION = (convnorm_cost.BASE, "spectral_norm(Conv2d)", "exact")
RADII = (1, 2, 3, 5, 7)


def row(what: str, result: str, **figures: Any) -> dict[str, Any]:
    return {"what": what, "result": result, **figures}


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


@contextlib.contextmanager
def tensor_cores() -> Iterator[None]:
    """Let float32 products and convolutions use TF32 while the block runs."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


@contextlib.contextmanager
def strict_float32() -> Iterator[None]:
    """Keep cuDNN from TF32, which it takes by default."""
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def precision_costs(compiled: bool) -> Callable[[argparse.Namespace], Rows]:
    """Compare layers, channels last, in float32, TF32 and under bfloat16 autocast."""

    def part(arguments: argparse.Namespace) -> Rows:
        device, repeats = arguments.device, 2 if arguments.smoke else 30
        names = ("3->128 @32", "128 @32", "128 @8", "512 @8")[: 2 if compiled else None]
        shapes = {"smoke": SMOKE} if arguments.smoke else {name: convnorm_cost.SHAPES[name] for name in names}
        bfloat16 = partial(torch.autocast, device, dtype=torch.bfloat16)
        modes = {"float32": strict_float32, "tf32": tensor_cores, "bfloat16": bfloat16}
        rows = []
        for shape_name, shape in shapes.items():
            for mode, context in modes.items():
                actions = {}
                for name in IN_EVERY_PRECISION:
                    layer, image = convnorm_cost.build(name, shape, device)
                    layer.to(memory_format=torch.channels_last)
                    images = image.detach().to(memory_format=torch.channels_last).requires_grad_()
                    if compiled:
                        layer.compile()
                    actions[name] = partial(convnorm_cost.run, layer, images)
                with context():
                    times = interleaved(actions, repeats, device)
                base = statistics.median(times[convnorm_cost.BASE])
                for name, values in times.items():
                    middle, half = middle_and_spread(values)
                    result = f"{1e3 * middle:.3f} +- {1e3 * half:.3f} ms, {middle / base:.2f} of BatchNorm's"
                    rows.append(row(f"{shape_name}, {mode}: {name}", result, ratio=middle / base))
        return rows

    return part


def path_costs(arguments: argparse.Namespace) -> Rows:
    """Compare the ways of the exact layer, from which `methods.choose` takes the fastest."""
    device, repeats = arguments.device, 2 if arguments.smoke else 20
    rows = []
    shapes = {"smoke": SMOKE} if arguments.smoke else convnorm_cost.SHAPES | NARROW
    for shape_name, shape in shapes.items():
        c_in, c_out, size, kernel, stride = shape
        for batch in (2,) if arguments.smoke else (16, 64):
            image = torch.randn(batch, c_in, size, size, device=device).to(memory_format=torch.channels_last)
            image.requires_grad_()
            layer = ConvNorm2d(c_in, c_out, kernel, stride, 1).to(device, memory_format=torch.channels_last)
            ways = {name: Forced(layer, partial(forced, layer, way)) for name, way in WAYS.items()}
            actions = {name: partial(convnorm_cost.run, module, image) for name, module in ways.items()}
            times = {name: statistics.median(v) for name, v in interleaved(actions, repeats, device).items()}
            chosen = name_of(methods.choose(layer, *layer._pad(image)))
            best = min(times, key=lambda name: times[name])
            found = ", ".join(f"{name} {1e3 * seconds:.3f} ms" for name, seconds in times.items())
            star = " *" if times[chosen] > 1.1 * times[best] else ""
            rows.append(row(f"{shape_name}, batch {batch}", f"{found}; chosen: {chosen}{star}", chosen=chosen, **times))
    return rows


def radius_costs(arguments: argparse.Namespace) -> Rows:
    """Compare the exact filter with truncated ones: the largest radius that pays is `truncation.radius_limit`."""
    device, repeats = arguments.device, 2 if arguments.smoke else 20
    rows = []
    for shape in (SMOKE,) if arguments.smoke else ((128, 128, 32, 3, 1), (128, 128, 8, 3, 1), (512, 512, 8, 3, 1)):
        c_in, c_out, size, kernel, _ = shape
        batch = 2 if arguments.smoke else 64
        layer = ConvNorm2d(c_in, c_out, kernel, padding=1).to(device, memory_format=torch.channels_last)
        image = torch.randn(batch, c_in, size, size, device=device).to(memory_format=torch.channels_last)
        with torch.no_grad():
            response, geometry = layer.respond(image)
            spectrum = layer.power_spectrum(geometry.grid)
        response = response.detach().requires_grad_()
        filters = {"exact": None} | {f"radius {r}": r for r in RADII if 2 * r < min(geometry.grid)}
        actions = {}
        for name, radius in filters.items():
            taps = None
            if radius is not None:
                side = 2 * radius + 1
                taps = Truncated(torch.randn(c_out, side, side, device=device) / side, radius, 0.0)
            arrangement = (layer, response, spectrum, taps, geometry)
            actions[name] = lambda given=arrangement: backward(methods.precondition(*given))
        times = {name: statistics.median(v) for name, v in interleaved(actions, repeats, device).items()}
        found = ", ".join(f"{name} {1e3 * seconds:.3f} ms" for name, seconds in times.items())
        rows.append(row(f"{c_in}->{c_out} @{size}", found, **times))
    return rows
