"""From which batch on matrix products pay in ConvNorm: both ways of the exact layer take turns in one run.

    python benchmarks/convnorm_paths.py --repeats 5
    python benchmarks/convnorm_paths.py --autocast
    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 python benchmarks/convnorm_paths.py

The ways are `filter_by_fft` (a convolution, then the filter by fast transforms) and `convolve_by_matmul` (both at
once, a matrix product a frequency). The numbers are seconds of one forward and backward over those of Conv2d +
BatchNorm2d, medians over the repeats. "Chosen" is the way that `methods.choose` takes; a star marks a choice that
costs 10% or more. The constants of that choice, ENOUGH_IMAGES and CHANNELS_PER_IMAGE, come from this table.
`--autocast` measures under autocast to bfloat16. The last command line is the same as the first on a CPU that has
AVX2 alone.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial

import torch
from convnorm_cost import SHAPES, run
from environment import environment, in_words
from torch import Tensor, nn

from gan_convnorm.layers import ConvNorm2d
from gan_convnorm.layers.convnorm import methods
from gan_convnorm.layers.convnorm.layer import ConvNormLayer

NARROW = {"32 @16": (32, 32, 16, 3, 1), "16 @32": (16, 16, 32, 3, 1), "32 @8": (32, 32, 8, 3, 1)}
WAYS = {"transforms": methods.filter_by_fft, "products": methods.convolve_by_matmul}


def name_of(way: methods.Method) -> str:
    """Return the name in `WAYS` of one of the ways."""
    return next(name for name, each in WAYS.items() if each is way)


def forced(layer: ConvNormLayer, way: methods.Method, image: Tensor) -> Tensor:
    """Return the layer's output by one of the ways."""
    images, geometry = layer._pad(image)
    return way(layer, images, geometry, layer.power_spectrum(geometry.grid), 1)


class Forced(nn.Module):
    """A layer that goes one way."""

    def __init__(self, layer: nn.Module, call: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.call = layer, call

    def forward(self, image: Tensor) -> Tensor:
        return self.call(image)


def row(shape: tuple[int, ...], batch: int, repeats: int, dtype: torch.dtype) -> tuple[dict[str, float], str]:
    """Return the time of each way over that of Conv2d + BatchNorm2d, and the way that the layer chooses."""
    torch.manual_seed(0)
    c_in, c_out, size, kernel, stride = shape
    image = torch.randn(batch, c_in, size, size).to(dtype).requires_grad_()
    layer = ConvNorm2d(c_in, c_out, kernel, stride, 1)
    plain = nn.Sequential(nn.Conv2d(c_in, c_out, kernel, stride, 1), nn.BatchNorm2d(c_out))
    modules: dict[str, nn.Module] = {"plain": plain}
    modules |= {name: Forced(layer, partial(forced, layer, way)) for name, way in WAYS.items()}
    times: dict[str, list[float]] = {name: [] for name in modules}
    for repeat in range(repeats + 1):
        for name, module in modules.items():
            found = sum(run(module, image))
            if repeat:
                times[name].append(found)
    medians = {name: statistics.median(values) for name, values in times.items()}
    chosen = methods.choose(layer, *layer._pad(image))
    return {name: medians[name] / medians["plain"] for name in WAYS}, name_of(chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = SHAPES | NARROW
    parser.add_argument("--batches", type=int, nargs="+", default=[4, 8, 16, 32, 64])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--shapes", nargs="+", default=list(every), choices=every)
    parser.add_argument("--autocast", action="store_true", help="under autocast to bfloat16")
    arguments = parser.parse_args()
    dtype = torch.bfloat16 if arguments.autocast else torch.float32
    print(f"{in_words(environment('cpu'))}, {arguments.repeats} repeats\n")
    print("| shape | batch | transforms | products | chosen |\n|---|---|---|---|---|")
    for name in arguments.shapes:
        for batch in arguments.batches:
            with torch.autocast("cpu", enabled=arguments.autocast):
                ratios, chosen = row(every[name], batch, arguments.repeats, dtype)
            star = " *" if ratios[chosen] > 1.1 * min(ratios.values()) else ""
            print(f"| {name} | {batch} | {ratios['transforms']:.2f} | {ratios['products']:.2f} | {chosen}{star} |")


if __name__ == "__main__":
    main()
