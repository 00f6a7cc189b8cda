"""FID of real images that are damaged more and more: does the trained extractor rank them right?

python benchmarks/extractor_ranking.py
python benchmarks/extractor_ranking.py --data FOLDER --resolution 32 [--without-labels]

FOLDER holds train/CLASS/*.jpg and test/CLASS/*.jpg. Without --data it is the digits. Held-out images are compared with
the training images. In a series of shares, 0, 10, ... 100 % of the held-out images are damaged in one way. In a series
of strengths all of them are damaged, more and more. The table shows Spearman's correlation of FID with the share or the
strength, and FID at the beginning, in the middle and at the end.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from scipy.stats import spearmanr
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from gan_convnorm.data import Digits, Folder
from gan_convnorm.fidelity import Evaluator, create_extractor

SHARES = [step / 10 for step in range(11)]
STRENGTHS = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5]


def to_bytes(images: Tensor) -> Tensor:
    return images.round().clamp(0, 255).to(torch.uint8)


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blurred(images: Tensor, strength: float = 1.0) -> Tensor:
    """Blur by a Gaussian whose deviation is a sixteenth of the side."""
    sigma = strength * images.shape[-1] / 16
    if sigma == 0:
        return images
    size = min(2 * math.ceil(3 * sigma) + 1, 2 * images.shape[-1] - 1)
    return to_bytes(gaussian_blur(images.float(), [size, size], [sigma, sigma]))


def noisy(images: Tensor, strength: float = 1.0) -> Tensor:
    """Add normal noise of deviation 40 of 255."""
    return to_bytes(images + 40 * strength * torch.randn(images.shape, generator=rng(1)))


def pale(images: Tensor, strength: float = 1.0) -> Tensor:
    """Leave 40 % of the contrast."""
    mean = images.float().mean(dim=(1, 2, 3), keepdim=True)
    return to_bytes(mean + (1 - 0.6 * strength) * (images - mean))


def tiled(images: Tensor) -> Tensor:
    """Repeat one patch of a quarter of the side, from a random place, over each image."""
    side = images.shape[-1] // 4
    places = torch.randint(0, images.shape[-1] - side + 1, (len(images), 2), generator=rng(2)).tolist()
    patches = [image[:, y : y + side, x : x + side] for image, (y, x) in zip(images, places, strict=True)]
    return torch.stack([patch.repeat(1, 4, 4) for patch in patches])


def pale_tiles(images: Tensor) -> Tensor:
    """Tile, then bring to the mean colour of all images with a fifth of the contrast: a hundred brown tiles."""
    mean = images.float().mean(dim=(0, 2, 3), keepdim=True)
    tiles = tiled(images).float()
    return to_bytes(mean + 0.2 * (tiles - tiles.mean(dim=(2, 3), keepdim=True)))


def of_two_classes(images: Tensor, labels: Tensor) -> Tensor:
    """Replace every image by a random one of two classes."""
    rows = (labels < 2).nonzero().flatten()
    return images[rows[torch.randint(len(rows), (len(images),), generator=rng(3))]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with train and test; by default the digits")
    parser.add_argument("--resolution", type=int, default=16)
    parser.add_argument("--without-labels", action="store_true", help="train the extractor on the images alone")
    parser.add_argument("--most", type=int, default=8000, help="training images; a quarter as many held-out ones")
    parser.add_argument("--extractor", default="classifier")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    data = Folder(str(arguments.data), arguments.resolution) if arguments.data else Digits(arguments.resolution)
    data.prepare_data()
    data.setup()
    train, held_out = (
        tuple(tensor[torch.randperm(len(split.tensors[0]), generator=rng(0))[:most]] for tensor in split.tensors)
        for split, most in ((data.train_set, arguments.most), (data.test_set, arguments.most // 4))
    )
    start, cpu = time.perf_counter(), time.process_time()
    extractor = create_extractor(
        arguments.extractor,
        metrics=("fid",),
        labelled=train[:1] if arguments.without_labels else train,
        device=arguments.device,
    )
    seconds = f"{time.perf_counter() - start:.0f} s, {time.process_time() - cpu:.0f} CPU s"
    evaluator = Evaluator(extractor, train[0], metrics="fid")

    def fid(images: Tensor) -> float:
        return evaluator(images).values["fid"]

    images, labels = held_out
    accuracy = evaluator(images).protocol.get("extractor_accuracy", float("nan"))
    print(f"{data.name} {arguments.resolution}x{arguments.resolution}, {extractor.get_name()}: ready after {seconds}")
    print(f"accuracy {accuracy:.3f}; {len(images)} held-out against {len(train[0])} training images")
    print("| damage | graded by | Spearman | FID at the beginning | middle | end |")
    print("|---|---|---|---|---|---|")
    order = torch.randperm(len(images), generator=rng(4))
    mean_image = to_bytes(train[0].float().mean(dim=0, keepdim=True)).expand_as(images)
    brown = to_bytes(train[0].float().mean(dim=(0, 2, 3), keepdim=True)).expand_as(images)
    for name, damaged in {
        "Gaussian blur": blurred(images),
        "noise": noisy(images),
        "contrast 40 %": pale(images),
        "two classes of all": of_two_classes(images, labels),
        "a patch tiled": tiled(images),
        "pale tiles of the mean colour": pale_tiles(images),
        "the mean image": mean_image,
        "the mean colour": brown,
    }.items():
        mixed = []
        for share in SHARES:
            rows = order[: round(share * len(images))]
            mixture = images.clone()
            mixture[rows] = damaged[rows]
            mixed.append(fid(mixture))
        show(name, "share", SHARES, mixed)
    damages: dict[str, Callable[[Tensor, float], Tensor]] = {"Gaussian blur": blurred, "noise": noisy, "contrast": pale}
    for name, damage in damages.items():
        show(name, "strength", STRENGTHS, [fid(damage(images, strength)) for strength in STRENGTHS])


def show(name: str, graded_by: str, grades: list[float], values: list[float]) -> None:
    shown = " | ".join(f"{values[i]:.2f}" for i in (0, len(values) // 2, -1))
    print(f"| {name} | {graded_by} | {spearmanr(grades, values).statistic:.3f} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
