"""Checkerboards in samples: the share of their energy at the frequencies of a pattern that alternates by pixel.

    python benchmarks/checkerboard.py RUN/last.ckpt ...
    python benchmarks/checkerboard.py RUN/last.ckpt --real photos --resolution 32 --trust my_network

The energy is that of the discrete Fourier transform of every image, without its mean. Of an image of H x W pixels three
frequencies alternate by pixel: along the height, along the width, and along both. The same share of real images is what
a good generator has.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from gan_convnorm import load
from gan_convnorm.data import Digits, Folder, ImageData


def alternating_share(images: Tensor) -> float:
    """Return the share, in percent, of the energy of uint8 images (n, C, H, W) at the three frequencies.

    >>> board = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    >>> alternating_share((255 * board).to(torch.uint8)[None, None])
    100.0
    """
    energy = torch.fft.fft2(images.double() / 255).abs().square().sum((0, 1))
    energy[0, 0] = 0
    rows, columns = (side // 2 for side in energy.shape)
    found = energy[rows, 0] + energy[0, columns] + energy[rows, columns]
    return 100 * (found / energy.sum()).item()


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*", type=Path)
    parser.add_argument("--n", type=int, default=2000, help="samples of each generator")
    parser.add_argument("--real", help="a folder of images, by default the digits")
    parser.add_argument("--resolution", default="16", help="of the real images")
    parser.add_argument("--trust", action="append", default=[], help="a module of your own that a checkpoint names")
    given = parser.parse_args(words)
    data: ImageData = Folder(given.real, given.resolution) if given.real else Digits(given.resolution)
    data.setup()
    real = alternating_share(data.split("train").tensors[0][: 10 * given.n])
    print(f"| images | share in % | times the real images' |\n|---|---|---|\n| real | {real:.4f} | 1 |")
    for path in given.checkpoints:
        gan = load(path, trust=given.trust)
        for name, ema in (("average of the weights", True), ("last weights", False)):
            share = alternating_share(gan.sample(given.n, seed=0, ema=ema))
            print(f"| {path}, {name} | {share:.4f} | {share / real:.2f} |", flush=True)


if __name__ == "__main__":
    main()
