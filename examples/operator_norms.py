"""Operator norms and singular values of the layers of a torchvision classifier, as a table and a figure.

The operator norm is that of the layer as it acts: padded, strided, on images of its size. The singular values are those
of the circular convolution, whose Fourier transform gives all of them.

python examples/operator_norms.py --network resnet18 --out operator_norms.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torchvision
from matplotlib.figure import Figure
from torch import nn

from gan_convnorm.operators import LipschitzReport, circular_size, lipschitz_report, singular_values


def draw(network: nn.Module, report: LipschitzReport, path: Path) -> None:
    """Write a figure: every convolution's singular values, falling, from the largest at the left to the smallest.

    Args:
        network: the network of the report.
        report: its layers.
        path: the picture to write.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for number, layer in enumerate(report.layers):
        conv = network.get_submodule(layer.name)
        if not isinstance(conv, nn.Conv2d):
            continue
        # The stride has to divide a circular image.
        values = singular_values(conv, circular_size(conv, layer.input_size)).flatten().sort(descending=True).values
        colour = (
            number / len(report.layers),
            0.3,
            1 - number / len(report.layers),
        )  # blue at the input, red at the end
        axes.semilogy(torch.linspace(0, 1, len(values)), values, color=colour, linewidth=1)
    axes.set(
        xlabel="share of the singular values", ylabel="singular value", title="blue: first layers, red: last layers"
    )
    axes.set_ylim(bottom=1e-4)  # below it are the zeros of strided 1x1 layers, as rounding leaves them
    figure.savefig(path, dpi=120)


def main(argv: list[str] | None = None) -> LipschitzReport:
    """Return the report of the network's layers after printing it and drawing the singular values.

    Args:
        argv: the command line's words; those of the program when not given.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="resnet18", help="a classifier of torchvision")
    parser.add_argument(
        "--weights", default=None, help="DEFAULT downloads torchvision's trained ones; else random ones"
    )
    parser.add_argument("--side", type=int, default=32, help="pixels of the square input images")
    parser.add_argument("--out", type=Path, default=Path("operator_norms.png"))
    options = parser.parse_args(argv)
    torch.manual_seed(0)
    network = torchvision.models.get_model(options.network, weights=options.weights).eval()
    report = lipschitz_report(network, (3, options.side, options.side))
    print(report)
    draw(network, report, options.out)
    print(f"singular values of the convolutions: {options.out}")
    return report


if __name__ == "__main__":
    main()
