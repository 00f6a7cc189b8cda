"""The options of `predict`, and the work that they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import Evaluator, TensorImages, create_extractor
from gan_convnorm.fidelity.extractors import layer_for
from gan_convnorm.fidelity.features import extract
from gan_convnorm.gan.sampling import Sampler
from gan_convnorm.images.grid import picture_grid, save_grid
from gan_convnorm.inference.animation import check_animation, write_animation
from gan_convnorm.inference.interpolation import interpolate
from gan_convnorm.inference.neighbours import Neighbours, find_neighbours
from gan_convnorm.noise import BLOCK

__all__ = ["Prediction"]

COLUMNS = 10  # images of a class, and steps of an interpolation
CLASSES = 50  # rows of one picture
FRAMES = 40  # of an animation, there and back
UNSEEN = 200  # images that the fakes' distances are compared with


class TrainImages(Protocol):
    """The part of a data module that the search for neighbours reads."""

    name: str
    train_set: TensorDataset
    test_set: TensorDataset | None

    def prepare_data(self) -> None:
        """Download the images."""

    def setup(self, stage: str) -> None:
        """Read the images."""


@dataclass
class Prediction:
    """Images and pictures that `predict` writes.

    Args:
        num: number of images.
        format: png (images/NNNNN.png, or images/CLASS/NNNNN.png with classes) or npz (images.npz).
        labels: classes that the images take in turn: all, one such as 3, or several such as 0,1,7.
        truncation: latents within +-truncation; the smaller, the more alike and typical the images.
        ema: from the averaged weights, else from the current ones.
        interpolate: number of ways from one latent to another that interpolation.png and the animation show.
        animation: of the interpolation: gif, mp4 (with the package imageio-ffmpeg) or none.
        nearest: number of images to find the nearest train images of, by pixels and by the features of --extractor.

    >>> Prediction(num=4, labels="0,2").chosen(3)
    [0, 2]
    """

    num: PositiveInt = 64
    format: Literal["png", "npz"] = "png"
    labels: str = "all"
    truncation: float | None = None
    ema: bool = True
    interpolate: NonNegativeInt = 0
    animation: Literal["gif", "mp4", "none"] = "gif"
    nearest: NonNegativeInt = 0

    def check(self, num_classes: int | None) -> None:
        """Raise unless the options suit the generator.

        Args:
            num_classes: the generator's; None for an unconditional one.

        Raises:
            BadInput: labels that are not the generator's, a truncation of 0 or below, a missing package.
        """
        self.chosen(num_classes)
        if self.truncation is not None and not self.truncation > 0:
            raise BadInput(f"--truncation is {self.truncation}, and must be above 0")
        check_animation(self.animation if self.interpolate else "none")

    def chosen(self, num_classes: int | None) -> list[int] | None:
        """Return the classes that are asked for.

        Args:
            num_classes: the generator's; None for an unconditional one.

        Returns:
            Classes from 0; None for an unconditional generator.

        Raises:
            BadInput: labels that are not the generator's.
        """
        if num_classes is None:
            if self.labels != "all":
                raise BadInput(f"--labels is {self.labels}, and this generator was trained without classes")
            return None
        if self.labels == "all":
            return list(range(num_classes))
        words = [word.strip() for word in self.labels.split(",")]
        if not all(word.isdecimal() and int(word) < num_classes for word in words):
            raise BadInput(f"--labels is {self.labels!r}; expected all, or of 0 to {num_classes - 1}, such as 0,1")
        return [int(word) for word in words]

    def batches(self, num_classes: int | None) -> DataLoader[dict[str, Any]]:
        """Return the arguments of `Sampler.sample` for one batch after the other."""
        batches: Any = list(self._batches(self.chosen(num_classes)))
        return DataLoader(batches, batch_size=None)

    def _batches(self, chosen: list[int] | None) -> Iterator[dict[str, Any]]:
        for first in range(0, self.num, BLOCK):
            n = min(BLOCK, self.num - first)
            batch = {"n": n, "first": first, "ema": self.ema, "truncation": self.truncation}
            if chosen is not None:
                batch["labels"] = torch.tensor(chosen)[torch.arange(first, first + n) % len(chosen)]
            yield batch

    def write_pictures(
        self, module: Sampler, data: TrainImages, extractor: str, weights: str | None, folder: Path
    ) -> list[Path]:
        """Write everything but the images.

        Args:
            module: the trained generator.
            data: the data module; read where `nearest` asks for it.
            extractor: of the features in which neighbours are looked for.
            weights: its weights file.
            folder: where to write.

        Returns:
            The pictures and tables.
        """
        paths = self._write_classes(module, folder)
        if self.interpolate:
            paths += self._write_interpolation(module, folder)
        if self.nearest:
            fakes = torch.cat([module.sample(**batch) for batch in self._first(module.num_classes)])
            data.prepare_data()
            data.setup("predict")
            found = self._neighbours(fakes, data, extractor, weights)
            paths += found.write(folder, fakes, data.train_set.tensors[0])
            print("\n".join(found.lines()), flush=True)
        return paths

    def _first(self, num_classes: int | None) -> Iterator[dict[str, Any]]:
        return Prediction(self.nearest, labels=self.labels, truncation=self.truncation, ema=self.ema)._batches(
            self.chosen(num_classes)
        )

    def _write_classes(self, module: Sampler, folder: Path) -> list[Path]:
        """Write pictures with one row for each class and one column for each latent."""
        chosen = self.chosen(module.num_classes)
        paths = []
        for start in range(0, len(chosen or ()), CLASSES):
            part = (chosen or [])[start : start + CLASSES]
            rows = [module.sample(COLUMNS, labels=label, ema=self.ema, truncation=self.truncation) for label in part]
            paths.append(folder / ("classes.png" if not start else f"classes-{start}.png"))
            save_grid(torch.cat(rows), paths[-1], COLUMNS)
        return paths

    def _write_interpolation(self, module: Sampler, folder: Path) -> list[Path]:
        options: dict[str, Any] = {"labels": self.chosen(module.num_classes), "ema": self.ema}
        options["truncation"] = self.truncation
        paths = [folder / "interpolation.png"]
        save_grid(interpolate(module, self.interpolate, COLUMNS, **options).flatten(0, 1), paths[0], COLUMNS)
        if self.animation != "none":
            there = interpolate(module, self.interpolate, FRAMES // 2 + 1, **options)
            columns = min(self.interpolate, COLUMNS)
            frames = [picture_grid(there[:, step], columns) for step in range(FRAMES // 2 + 1)]
            paths.append(folder / f"interpolation.{self.animation}")
            write_animation([*frames, *frames[-2:0:-1]], paths[1])
        return paths

    def _neighbours(self, fakes: Tensor, data: TrainImages, name: str, weights: str | None) -> Neighbours:
        train, test = data.train_set.tensors, data.test_set
        device = "cuda" if torch.cuda.is_available() else "cpu"
        extractor = create_extractor(name, metrics=("prc",), labelled=train, weights=weights, device=device)
        layer = layer_for(name, "prc")
        print(f"looking for neighbours among {len(train[0])} {data.name} train images", flush=True)
        # It keeps the train images' features in the cache.
        real = Evaluator(extractor, train[0], metrics=("prc",), reference_name=f"{data.name} train images").real

        def to_features(images: Tensor) -> Tensor:
            found = extract(extractor, TensorImages(images))
            assert found is not None  # one process
            return found[layer]

        unseen = None if test is None else test.tensors[0][:UNSEEN]
        return find_neighbours(fakes, train[0], unseen, (f"{name} features", real.rows[layer], to_features))
