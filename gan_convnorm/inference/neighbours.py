"""A search for copies: fakes beside the training images nearest to them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.files.names import shown
from gan_convnorm.inference.captioned_picture import Block, save_captioned

__all__ = ["Neighbours", "Space", "find_neighbours", "nearest_rows", "pixel_space", "spread_rows"]

#: real images in one product of distances
CHUNK = 1024
#: a fake is near if it is nearer to the train split than all but this share of the held-out images
NEAR = 0.05

#: from uint8 images (N, C, H, W) to one vector per image (N, D)
Space = Callable[[Tensor], Tensor]


def pixel_space(images: Tensor) -> Tensor:
    """Return vectors whose distance is the root mean square difference of pixel values in [0, 1].

    >>> black_and_white = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    >>> black, white = pixel_space(black_and_white)
    >>> (white - black).norm().round(decimals=4)
    tensor(1.)

    Args:
        images: uint8 (N, C, H, W).

    Returns:
        float32 (N, C H W).
    """
    scale: float = 255 * images[0].numel() ** 0.5
    return images.flatten(1).float() / scale


def nearest_rows(
    queries: Tensor, rows: Tensor, count: int, space: Space = lambda x: x, *, own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return Euclidean distances to the nearest rows, and the numbers of these rows.

    Args:
        queries: vectors of shape (Q, D), already in the space.
        rows: N images or vectors that `space` maps to vectors (N, D), in chunks, so that a large set is never in memory
            as floats.
        count: neighbours of each, at most N.
        space: see `rows`.
        own: of queries that are rows themselves, the numbers of these rows (Q,), which are not their own neighbours.

    Returns:
        Distances and numbers, each of shape (Q, count), nearest first.

    >>> rows = torch.tensor([[0.0], [3.0], [4.0]])
    >>> distances, numbers = nearest_rows(torch.tensor([[2.5]]), rows, 2)
    >>> distances.tolist(), numbers.tolist()
    ([[0.5, 1.5]], [[1, 2]])
    """
    distances = torch.full((len(queries), 0), 0.0)
    numbers = torch.full((len(queries), 0), 0)
    for start in range(0, len(rows), CHUNK):
        part = space(rows[start : start + CHUNK])
        # A matrix product would lose the distance of a copy in rounding.
        found = torch.cdist(queries, part, compute_mode="donot_use_mm_for_euclid_dist")
        ids = torch.arange(start, start + len(part)).expand_as(found)
        if own is not None:
            found = found.masked_fill(ids == own[:, None], torch.inf)
        distances, order = torch.cat([distances, found], 1).topk(min(count, start + len(part)), largest=False)
        numbers = torch.cat([numbers, ids], 1).gather(1, order)
    return distances, numbers


@dataclass(frozen=True)
class Neighbours:
    """Fakes and their nearest training images in several spaces.

    >>> train = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    >>> copies = find_neighbours(train[:2], train, None, count=1)
    >>> copies.lines()
    ['pixels: distance to the nearest training image 0 (median of 2 fakes), 0.2 (2 training images, ...; 100% of the ...

    Attributes:
        distances: of each space, (fakes, count), nearest first.
        numbers: of each space, rows of the training images, the same shape.
        unseen: of each space, distances of images that were not trained on to their nearest training image, (M,).
        unseen_name: these images in words.
    """

    distances: dict[str, Tensor]
    numbers: dict[str, Tensor]
    unseen: dict[str, Tensor]
    unseen_name: str

    def summary(self) -> dict[str, Any]:
        """Return by space the distances to the nearest training image, of fakes and of unseen images.

        Returns:
            Medians and smallest distances, numbers of images, and the share of fakes that are nearer than all but 5 %
            of the unseen images: about 5 % if the generator copies nothing.
        """
        found = {}
        for space, distances in self.distances.items():
            fakes, unseen = distances[:, 0], self.unseen[space]
            found[space] = {
                "fakes": len(fakes),
                "fakes_median": float(fakes.median()),
                "fakes_smallest": float(fakes.min()),
                "unseen": len(unseen),
                "unseen_are": self.unseen_name,
                "unseen_median": float(unseen.median()),
                "unseen_smallest": float(unseen.min()),
                "share_of_near_fakes": float((fakes < torch.quantile(unseen, NEAR)).float().mean()),
            }
        return found

    def lines(self) -> list[str]:
        """Return the summary in words, one line for each space."""
        return [
            f"{space}: distance to the nearest training image {s['fakes_median']:.3g} (median of {s['fakes']} fakes), "
            f"{s['unseen_median']:.3g} ({s['unseen']} {s['unseen_are']}); {100 * s['share_of_near_fakes']:.0f}% of the "
            f"fakes are nearer than {100 * (1 - NEAR):.0f}% of those"
            for space, s in self.summary().items()
        ]

    def write(self, folder: Path, fakes: Tensor, train: Tensor, files: Sequence[str] = ()) -> list[Path]:
        """Write nearest.png (each fake, then its neighbours by space with distances), nearest.csv and nearest.json.

        Args:
            folder: exists.
            fakes: uint8 (n, C, H, W).
            train: uint8 (N, C, H, W), the images that `numbers` are of.
            files: names of their files for the table, where they are files.

        Returns:
            The files.
        """
        blocks = [Block("sample", fakes.unsqueeze(1), [[str(row)] for row in range(len(fakes))])]
        for space, numbers in self.numbers.items():
            captions = [[f"{distance:.3g}" for distance in row] for row in self.distances[space].tolist()]
            blocks.append(Block(f"nearest training images by {space}", train[numbers], captions))
        paths = [folder / f"nearest.{ending}" for ending in ("png", "csv", "json")]
        save_captioned(blocks, paths[0])
        with atomic_write(paths[1]) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["fake", "space", "rank", "train_image", "distance", "file"])
            for space, numbers in self.numbers.items():
                for fake, row in enumerate(numbers.tolist()):
                    distances = self.distances[space][fake].tolist()
                    for rank, (image, distance) in enumerate(zip(row, distances, strict=True), 1):
                        file_name = shown(files[image]) if files else ""
                        writer.writerow([fake, space, rank, image, f"{distance:.6g}", file_name])
        with atomic_write(paths[2]) as part:
            part.write_text(json.dumps(self.summary(), indent=2) + "\n", encoding="utf-8")
        return paths


def spread_rows(count: int, most: int) -> Tensor:
    """Return up to `most` row numbers, spread over all rows: a folder's images are in the order of their classes.

    >>> spread_rows(10, 3)
    tensor([0, 4, 9])
    """
    return torch.linspace(0, count - 1, min(most, count), dtype=torch.float64).long()


def find_neighbours(
    fakes: Tensor,
    train: Tensor,
    unseen: Tensor | None,
    features: tuple[str, Tensor, Space] | None = None,
    count: int = 5,
) -> Neighbours:
    """Find the training images nearest to fakes, and those nearest to images that the generator has not seen.

    Args:
        fakes: uint8 (n, C, H, W).
        train: uint8 (N, C, H, W).
        unseen: images that were not trained on, uint8 (M, C, H, W). When None, as many training images as there are
            fakes, each compared with the others.
        features: name of a second space, the training images' vectors in it (N, D), and the map from images to vectors.
        count: neighbours of each fake.

    Returns:
        Distances in pixels, and in the second space.

    >>> train = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    >>> find_neighbours(train[1:2], train, None, count=1).numbers["pixels"].tolist()
    [[1]]
    """
    count = min(count, len(train))
    own, others = None, unseen
    if others is None:
        own = spread_rows(len(train), max(len(fakes), 2))
        others = train[own]
    name = "training images, each compared with the others" if unseen is None else "held-out images"
    distances, numbers, far = {}, {}, {}
    spaces: list[tuple[str, Tensor, Space, Space]] = [("pixels", train, pixel_space, pixel_space)]
    if features is not None:
        title, rows, to_features = features
        spaces.append((title, rows, lambda x: x, to_features))
    for title, rows, of_rows, of_images in spaces:
        distances[title], numbers[title] = nearest_rows(of_images(fakes), rows, count, of_rows)
        far[title] = nearest_rows(of_images(others), rows, 1, of_rows, own=own)[0][:, 0]
    return Neighbours(distances, numbers, far, name)
