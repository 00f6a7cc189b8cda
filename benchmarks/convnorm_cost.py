"""Time and memory of ConvNorm and its alternatives, which take turns in one run.

    python benchmarks/convnorm_cost.py --repeats 7
    python benchmarks/convnorm_cost.py --device cuda --repeats 50

Shapes are those of SNGAN's discriminators, batch 64. Times are medians over the repeats, in which every layer is run
once in turn; the spread is half the interquartile range. Ratios are to Conv2d + BatchNorm2d. Memory is the peak of one
forward and backward: on a CPU of what torch's profiler sees allocated, on a GPU the allocator's.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import sys
import time
from collections.abc import Callable

import torch
from environment import environment, in_words
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_convnorm.layers import ConvNorm2d
from gan_convnorm.operators import autocorrelation, power_spectrum

# in channels, out channels, pixels, kernel, stride; padding 1.
SHAPES = {
    "3->128 @32": (3, 128, 32, 3, 1),
    "128 @32": (128, 128, 32, 3, 1),
    "128 @16": (128, 128, 16, 3, 1),
    "128 @8": (128, 128, 8, 3, 1),
    "64->128 @64": (64, 128, 64, 3, 1),
    "512 @8": (512, 512, 8, 3, 1),
    "1024 @4": (1024, 1024, 4, 3, 1),
    "64->128 @32, k4 s2": (64, 128, 32, 4, 2),
}
BATCH = 64


def kernel_spectrum(weight: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the power spectrum as the code of 2021 computes it: a transform of every padded kernel."""
    padded = nn.functional.pad(weight, (0, grid[1] - weight.shape[3], 0, grid[0] - weight.shape[2]))
    return torch.fft.rfft2(padded).abs().square().sum(1)


class Transcription(nn.Conv2d):
    """The algorithm of 2021 in plain operations, without its affine and BatchNorm: no gradient through the spectrum."""

    def forward(self, input: Tensor) -> Tensor:
        k, p, s = self.kernel_size[0], int(self.padding[0]), self.stride[0]
        response = nn.functional.conv2d(input, self.weight, self.bias, 1, k - 1)
        grid = (response.shape[2], response.shape[3])
        with torch.no_grad():
            preconditioner = torch.exp(-0.5 * torch.log(kernel_spectrum(self.weight, grid)))
        filtered = torch.fft.irfft2(torch.fft.rfft2(response) * preconditioner, s=grid)
        crop = k - 1 - p
        return filtered[:, :, crop : grid[0] - crop, crop : grid[1] - crop][..., ::s, ::s]


LAYERS: dict[str, Callable[..., nn.Module]] = {
    "Conv2d": nn.Conv2d,
    "Conv2d + BatchNorm2d": lambda *a: nn.Sequential(nn.Conv2d(*a), nn.BatchNorm2d(a[1])),
    "spectral_norm(Conv2d)": lambda *a: spectral_norm(nn.Conv2d(*a)),
    "algorithm of 2021": Transcription,
    "exact": ConvNorm2d,
    "exact, depthwise affine": lambda *a: ConvNorm2d(*a, affine="depthwise"),
    "exact, folded": lambda *a: ConvNorm2d(*a, strided="fold"),
    "tolerance 1e-2, depthwise affine": lambda *a: ConvNorm2d(*a, affine="depthwise", tolerance=1e-2),
    "tolerance 1e-3, depthwise affine": lambda *a: ConvNorm2d(*a, affine="depthwise", tolerance=1e-3),
    "tolerance 1e-3, depthwise affine, folded": lambda *a: ConvNorm2d(
        *a, affine="depthwise", tolerance=1e-3, strided="fold"
    ),
}
BASE, ORIGINAL = "Conv2d + BatchNorm2d", "algorithm of 2021"


def run(layer: nn.Module, image: Tensor) -> tuple[float, float]:
    """Return the seconds of one forward and one backward."""
    image.grad = None
    layer.zero_grad()
    start = now(image)
    output = layer(image)
    middle = now(image)
    output.backward(output.detach())
    return middle - start, now(image) - middle


def now(tensor: Tensor) -> float:
    if tensor.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


def build(name: str, shape: tuple[int, ...], device: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    c_in, c_out, size, kernel, stride = shape
    image = torch.randn(BATCH, c_in, size, size, device=device, requires_grad=True)
    return LAYERS[name](c_in, c_out, kernel, stride, 1).to(device), image


def peak_memory(name: str, shape: tuple[int, ...], device: str) -> float:
    """Return the peak MiB of tensors in a forward and backward, beyond parameters and input."""
    layer, image = build(name, shape, device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run(layer, image)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run(layer, image)
    results = profile.profiler.kineto_results.events()
    events = sorted((e.start_ns(), e.nbytes()) for e in results if e.name() == "[memory]")
    return max(itertools.accumulate(size for _, size in events)) / 2**20


def spectrum_ratio(repeats: int, device: str) -> tuple[float, float]:
    """Return how many times faster the autocorrelation gives the power spectrum, 128 channels on 34x34."""
    weight = torch.randn(128, 128, 3, 3, device=device)
    ratios = []
    for repeat in range(repeats + 1):
        start = now(weight)
        kernel_spectrum(weight, (34, 34))
        middle = now(weight)
        power_spectrum(autocorrelation(weight), (34, 34))
        if repeat:
            ratios.append((middle - start) / (now(weight) - middle))
    return statistics.median(ratios), spread(ratios)


def spread(values: list[float]) -> float:
    if len(values) < 2:
        return 0.0
    lower, _, upper = statistics.quantiles(values, n=4)
    return (upper - lower) / 2


def geometric_mean(values: list[float]) -> float:
    return math.exp(statistics.mean(map(math.log, values)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--shapes", nargs="*", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--no-memory", action="store_true")
    arguments = parser.parse_args()
    device = arguments.device
    print(f"{in_words(environment(device))}, {arguments.repeats} repeats\n")
    ratio, half = spectrum_ratio(max(arguments.repeats, 9), device)
    print(f"Spectrum, 128 channels: {ratio:.0f} +- {half:.0f} times faster than a transform of every kernel.\n")
    print("| shape | layer | forward ms | backward ms | both, ratio | memory MiB | ratio |")
    print("|---|---|---|---|---|---|---|")
    totals: dict[str, dict[str, float]] = {name: {} for name in LAYERS}
    memories: dict[str, dict[str, float]] = {name: {} for name in LAYERS}
    for shape_name in arguments.shapes:
        shape = SHAPES[shape_name]
        names = [name for name in LAYERS if shape[4] > 1 or not name.endswith("folded")]
        built = {name: build(name, shape, device) for name in names}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for repeat in range(arguments.repeats + 1):
            for name, (layer, image) in built.items():
                found = run(layer, image)
                if repeat:
                    times[name].append(found)
        del built
        for name in names:
            totals[name][shape_name] = statistics.median(map(sum, times[name]))
            memories[name][shape_name] = math.nan if arguments.no_memory else peak_memory(name, shape, device)
        for name in names:
            forward, backward = ([1e3 * t[i] for t in times[name]] for i in (0, 1))
            cells = [f"{statistics.median(part):.1f} +- {spread(part):.1f}" for part in (forward, backward)]
            cells.append(f"{totals[name][shape_name] / totals[BASE][shape_name]:.2f}")
            cells.append(f"{memories[name][shape_name]:.0f}")
            cells.append(f"{memories[name][shape_name] / memories[BASE][shape_name]:.2f}")
            print(f"| {shape_name} | {name} | " + " | ".join(cells) + " |")
            sys.stdout.flush()
    print("\nGeometric means over all shapes, and in brackets over those with 16 and more input channels:\n")
    print(f"| layer | time to {BASE} | times as fast as the {ORIGINAL}, and on the worst shape | memory to {BASE} |")
    print("|---|---|---|---|")
    for name in (name for name in LAYERS if totals[name]):
        cells = []
        for values, reference, invert in ((totals, BASE, False), (totals, ORIGINAL, True), (memories, BASE, False)):
            shapes = [s for s in values[name] if s in values[reference]]
            every = {s: values[name][s] / values[reference][s] for s in shapes}
            every = {s: 1 / r for s, r in every.items()} if invert else every
            wide = [r for s, r in every.items() if SHAPES[s][0] >= 16]
            cell = f"{geometric_mean(list(every.values())):.2f}"
            cell += f" ({geometric_mean(wide):.2f})" if wide else ""
            cells.append(cell + (f", {min(every.values()):.2f}" if invert else ""))
        note = " (stride 2 only)" if name.endswith("folded") else ""
        print(f"| {name}{note} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
