"""Images like MNIST's without a download: scikit-learn's digits drawn at 28x28, turned, slanted and shifted.

python examples/handwritten_digits_28.py --out digits28.npz
python train_gan.py --data npz --data.path digits28.npz --resolution 32 --conditional
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F


def redraw(images: Tensor, rng: torch.Generator, size: int = 28) -> Tensor:
    """Return each 8x8 image of values in [0, 1] as one of `size` pixels a side, under a random affine map.

    The digit fills 20 of 28 pixels, as MNIST's do. Rotations are up to 10 degrees, slants up to 0.2, scales 0.9 to 1.1,
    shifts up to about 1.5 pixels. Interpolating 8x8 blurs the strokes, so grey levels are steepened before the image is
    averaged down from four times its size.

    Args:
        images: float (n, 1, 8, 8).
        rng: of the random maps.
        size: side of the results.

    Returns:
        uint8 (n, 1, size, size).
    """
    count, drawn = len(images), 4 * size

    def uniform(limit: float) -> Tensor:
        return (2 * torch.rand(count, generator=rng) - 1) * limit

    angle, slant, scale = uniform(math.radians(10)), uniform(0.2), (1 + uniform(0.1)) * 20 / 28
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(count, 2, 2)
    shear = torch.eye(2).repeat(count, 1, 1)
    shear[:, 0, 1] = slant
    matrix = rotation @ shear / scale[:, None, None]
    shift = torch.stack([uniform(4 / size), uniform(4 / size)], dim=1)
    grid = F.affine_grid(torch.cat([matrix, shift[:, :, None]], dim=2), [count, 1, drawn, drawn], align_corners=False)
    large = F.interpolate(images, size=drawn, mode="bicubic")
    ink = F.grid_sample(large, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    ink = torch.sigmoid(14 * (ink - 0.45))
    return (F.avg_pool2d(ink, 4) * 255).round().clamp(0, 255).to(torch.uint8)


def main(words: list[str] | None = None) -> None:
    """Write the train and test images with their labels to one file.

    Args:
        words: of the command line.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("digits28.npz"), help="file to write")
    parser.add_argument("--copies", type=int, default=10, help="images drawn from each digit")
    settings = parser.parse_args(words)
    digits = load_digits()
    images = torch.from_numpy(digits.images).float()[:, None] / 16
    is_test = torch.arange(len(images)) % 5 == 0  # the split of gan_convnorm.data.Digits
    rng = torch.Generator().manual_seed(0)
    arrays = {}
    for prefix, part in (("", ~is_test), ("test_", is_test)):
        copies = [redraw(images[part], rng) for _ in range(settings.copies)]
        arrays[f"{prefix}images"] = torch.cat(copies).numpy()
        arrays[f"{prefix}labels"] = np.tile(digits.target[part.numpy()].astype(np.int64), settings.copies)
    np.savez_compressed(settings.out, **arrays)
    print(f"{len(arrays['images']):,} train and {len(arrays['test_images']):,} test images in {settings.out}")


if __name__ == "__main__":
    main()
