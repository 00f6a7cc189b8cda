"""A trained generator to play with: images by seed and class, the way between two, and the nearest training images."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.gan.sampling import Sampler
from gan_convnorm.inference.interpolation import slerp
from gan_convnorm.inference.neighbours import nearest_rows, pixel_space
from gan_convnorm.random_streams import numbered_latents

__all__ = ["Playground"]


class Playground:
    """A generator and, where they are known, the images that it was trained on.

    Every image follows from its seed, its class and the truncation alone.

    Args:
        sampler: the trained generator.
        train: uint8 (N, C, H, W) of the generator's size; None hides the nearest training images.

    Raises:
        BadInput: training images of another size or number of channels.

    >>> from gan_convnorm.gan.loading import load
    >>> playground = Playground(load("checkpoints/digits_convnorm"))
    >>> playground.images(seed=3, count=2).shape, playground.walk(3, 4, steps=5).shape
    (torch.Size([2, 1, 16, 16]), torch.Size([5, 1, 16, 16]))
    """

    def __init__(self, sampler: Sampler, train: Tensor | None = None) -> None:
        self.sampler = sampler
        self.train = train
        if train is not None and train.shape[1:] != (shape := sampler.sample(1).shape[1:]):
            raise BadInput(
                f"the training images have shape {tuple(train.shape[1:])}, and the generator makes {tuple(shape)}; "
                "give the images that it was trained on"
            )

    @property
    def num_classes(self) -> int | None:
        """Number of classes; None for an unconditional generator."""
        return self.sampler.num_classes

    def images(self, seed: int, count: int = 1, label: int | None = None, truncation: float | None = None) -> Tensor:
        """Return images of one seed.

        Args:
            seed: of the latents, 0 or more.
            count: number of images.
            label: class of a conditional generator's images; each of another class when not given.
            truncation: see `Sampler.sample`.

        Returns:
            uint8 (count, C, H, W).
        """
        return self.sampler.sample(count, labels=label, seed=seed, truncation=truncation)

    def walk(
        self, start: int, end: int, steps: int = 9, label: int | None = None, truncation: float | None = None
    ) -> Tensor:
        """Return images on the way from the first image of one seed to the first image of another.

        Args:
            start: seed of the first image.
            end: seed of the last image.
            steps: images on the way, both ends included.
            label: class of all images; 0 for a conditional generator when not given.
            truncation: see `Sampler.sample`.

        Returns:
            uint8 (steps, C, H, W).
        """
        ends = [numbered_latents(0, 1, self.sampler.latent_dim, seed, truncation) for seed in (start, end)]
        latents = slerp(ends[0], ends[1], torch.linspace(0, 1, steps)).flatten(0, 1)
        usual = self.sampler.usual_labels(0, 1)
        labels = None if usual is None else usual.repeat_interleave(steps, 0)
        if labels is not None and label is not None:
            labels = torch.full((steps,), label)
        return self.sampler.decode(latents, labels)

    def nearest(self, image: Tensor, count: int = 5) -> tuple[Tensor, Tensor]:
        """Return the training images nearest to an image, by root mean square difference of pixels in [0, 1].

        Args:
            image: uint8 (C, H, W).
            count: number of training images.

        Returns:
            uint8 (count, C, H, W) and distances (count,), nearest first.

        Raises:
            BadInput: the training images are not known.
        """
        if self.train is None:
            raise BadInput("the training images are not known; name their folder with --train-images")
        distances, numbers = nearest_rows(
            pixel_space(image[None]), self.train, min(count, len(self.train)), pixel_space
        )
        return self.train[numbers[0]], distances[0]
