"""The options of `predict`, and the work that they ask for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt
from torch import Tensor
from torch.utils.data import DataLoader

from gan_convnorm.errors import BadInput
from gan_convnorm.gan.sampling import Sampler
from gan_convnorm.inference.animation import check_animation
from gan_convnorm.inference.latent_pictures import write_classes, write_interpolation
from gan_convnorm.inference.real_images import RealImages, nearest_train_images, project_held_out
from gan_convnorm.random_streams import BLOCK

__all__ = ["Prediction"]

#: images of one call
MOST = 10_000_000


@dataclass
class Prediction:
    """Images and pictures that `predict` writes.

    Args:
        num: number of images.
        format: png (images/NNNNN.png, or images/CLASS/NNNNN.png with classes) or npz (images.npz).
        labels: classes that the images take in turn: all, one such as 3, or several such as 0,1,7.
        condition: numbers of the vector that all images take, such as 1,0.5; those of training images in turn when not
            given.
        truncation: limit of the latents' absolute values; a smaller one gives more typical and less varied images.
        ema: from the averaged weights, else from the current ones.
        interpolate: number of interpolations, each from one latent to another, in interpolation.png and the animation.
        animation: of the interpolation: gif, mp4 (with the package imageio-ffmpeg) or none.
        nearest: number of images to find the nearest training images of, by pixels and by the features of --extractor.
        project: number of held-out images (of training images, where none are held out) to find the latents of.

    >>> Prediction(num=4, labels="0,2").chosen(3)
    [0, 2]
    """

    num: PositiveInt = 64
    format: Literal["png", "npz"] = "png"
    labels: str = "all"
    condition: str | None = None
    truncation: float | None = None
    ema: bool = True
    interpolate: NonNegativeInt = 0
    animation: Literal["gif", "mp4", "none"] = "gif"
    nearest: NonNegativeInt = 0
    project: NonNegativeInt = 0

    @property
    def looks_at_data(self) -> bool:
        """True if real images are needed."""
        return bool(self.nearest or self.project)

    def check(self, num_classes: int | None, conditions: list[str] | None = None) -> None:
        """Raise unless the options suit the generator.

        Args:
            num_classes: the generator's; None for one without classes.
            conditions: names of the numbers in its vectors; None for one without.

        Raises:
            BadInput: too many images, labels or a vector that are not the generator's, a truncation of 0 or below, a
                missing package.
        """
        if self.num > MOST:
            raise BadInput(f"--num is {self.num}, and must be at most {MOST:,}")
        self.chosen(num_classes)
        vector = self.vector()
        if vector is not None and len(vector) != len(conditions or ()):
            expected = f"one number for each of {', '.join(conditions)}" if conditions else "none: it takes no vectors"
            raise BadInput(f"--condition is {self.condition!r}, and this generator takes {expected}")
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

    def vector(self) -> Tensor | None:
        """Return the vector that is asked for, float32 (K,), or None.

        Raises:
            BadInput: anything but finite numbers.
        """
        if self.condition is None:
            return None
        try:
            found = torch.tensor([float(word) for word in str(self.condition).split(",")])
        except ValueError:
            found = torch.tensor([math.nan])
        if not found.isfinite().all():
            raise BadInput(f"--condition is {self.condition!r}; expected finite numbers, such as 1,0.5")
        return found

    def batches(self, num_classes: int | None) -> DataLoader[dict[str, Any]]:
        """Return the arguments of `Sampler.sample` for one batch after the other."""
        batches: Any = list(self._batches(self.chosen(num_classes)))
        return DataLoader(batches, batch_size=None)

    def _batches(self, chosen: list[int] | None) -> Iterator[dict[str, Any]]:
        for first in range(0, self.num, BLOCK):
            n = min(BLOCK, self.num - first)
            batch = {"n": n, "first": first, "ema": self.ema, "truncation": self.truncation}
            if (vector := self.vector()) is not None:
                batch["labels"] = vector.expand(n, -1)
            if chosen is not None:
                batch["labels"] = torch.tensor(chosen)[torch.arange(first, first + n) % len(chosen)]
            yield batch

    def write_pictures(
        self, module: Sampler, data: RealImages, extractor: str, weights: str | None, folder: Path
    ) -> list[Path]:
        """Write everything but the images.

        Args:
            module: the trained generator.
            data: the data module; read where `nearest` or `project` asks for it.
            extractor: of the features in which neighbours are looked for.
            weights: its weights file.
            folder: where to write.

        Returns:
            The pictures and tables.
        """
        chosen, vector = self.chosen(module.num_classes), self.vector()
        paths = write_classes(module, chosen or [], folder, ema=self.ema, truncation=self.truncation)
        if self.interpolate:
            paths += write_interpolation(
                *(module, self.interpolate, self.animation, folder),
                labels=chosen if vector is None else vector,
                ema=self.ema,
                truncation=self.truncation,
            )
        if self.looks_at_data:
            data.prepare_data()
            data.setup("predict")
        if self.nearest:
            first = Prediction(
                self.nearest, labels=self.labels, condition=self.condition, truncation=self.truncation, ema=self.ema
            )
            fakes = torch.cat([module.sample(**batch) for batch in first._batches(chosen)])
            found = nearest_train_images(fakes, data, extractor, weights)
            paths += found.write(folder, fakes, data.train_set.tensors[0], data.file_names.get("train", ()))
            print("\n".join(found.lines()), flush=True)
        if self.project:
            projection, files = project_held_out(module, self.project, data, ema=self.ema)
            paths += projection.write(folder, files)
            print(projection.line(), flush=True)
        return paths
