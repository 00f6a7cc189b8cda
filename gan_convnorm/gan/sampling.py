"""Sampling by image index, so that results do not depend on how the work is split."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.evaluation_mode import evaluating
from gan_convnorm.images.pixels import images_to_bytes
from gan_convnorm.networks import Generator
from gan_convnorm.random_streams import BLOCK, numbered_latents

__all__ = ["Sampler"]


class Sampler:
    """Sampling for a module with a generator; a base class beside `nn.Module`.

    >>> from gan_convnorm.gan.loading import load
    >>> sampler = load("checkpoints/digits_convnorm")
    >>> isinstance(sampler, Sampler), sampler.latent_dim, sampler.takes_labels
    (True, 128, False)
    >>> four, last_two = sampler.sample(4), sampler.sample(2, first=2)
    >>> bool((four[2:].int() - last_two.int()).abs().max() <= 1)  # images 2 and 3, up to rounding
    True

    Attributes:
        latent_dim: length of the latents.
        generator: the network.
        num_classes: None for a generator without classes.
        condition_size: length of the vectors that a generator takes in place of classes, else None.
        seed: of the latents, when no other is given.
    """

    generator: Generator
    latent_dim: int
    num_classes: int | None
    condition_size: int | None = None
    seed: int

    @property
    def takes_labels(self) -> bool:
        """True for a generator of classes or of vectors."""
        return self.num_classes is not None or self.condition_size is not None

    def generator_with(self, *, ema: bool) -> nn.Module:
        """Return the network with the averaged weights, or with the current ones.

        Args:
            ema: the averaged weights, else the current ones.
        """
        raise NotImplementedError

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        labels: Tensor | Sequence[int] | int | None = None,
        seed: int | None = None,
        ema: bool = True,
        first: int = 0,
        truncation: float | None = None,
        batch_size: int = BLOCK,
    ) -> Tensor:
        """Return images from the generator in evaluation mode.

        Image i depends on the seed, on i and on its label alone, up to rounding: not on `n`, `first` or `batch_size`.

        Args:
            n: number of images.
            labels: n classes, or one for all; image i is of class i modulo `num_classes` when not
                given. Or vectors, shape (n, condition_size), or one for all; those of up to 1,000 training images in
                turn when not given.
            seed: of the latents, 0 or above; the run's seed when not given.
            ema: from the averaged weights, else from the current ones.
            first: number of the first image in the endless series of this seed.
            truncation: latents from the normal distribution within +-truncation (BigGAN, arXiv:1809.11096, section
                3.1); a smaller one gives less varied images.
            batch_size: images in one forward pass.

        Returns:
            uint8, shape (n, C, H, W), on the CPU.

        Raises:
            BadInput: labels where there are no classes, of another shape, or out of range; a seed below 0; a truncation
                of 0 or below; weights that are not there.
        """
        seed = self.seed if seed is None else seed
        for name, value, least in (("n", n, 1), ("first", first, 0), ("batch_size", batch_size, 1), ("seed", seed, 0)):
            if value < least:
                raise BadInput(f"{name} is {value}, and must be {least} or more")
        latents = numbered_latents(first, first + n, self.latent_dim, seed, truncation)
        of_class = self.usual_labels(first, first + n) if labels is None else self.checked_labels(n, labels)
        return self.decode(latents, of_class, ema=ema, batch_size=batch_size)

    @torch.no_grad()
    def decode(
        self, latents: Tensor, labels: Tensor | None = None, *, ema: bool = True, batch_size: int = BLOCK
    ) -> Tensor:
        """Return the images of latents in evaluation mode.

        Args:
            latents: (n, latent_dim), finite.
            labels: classes (n,), or vectors (n, condition_size); None for an unconditional generator.
            ema: from the averaged weights, else from the current ones.
            batch_size: images in one forward pass.

        Returns:
            uint8, shape (n, C, H, W), on the CPU.

        Raises:
            BadInput: latents of another shape, or NaN or infinite; labels that are not the generator's.
        """
        if latents.dim() != 2 or latents.shape[1] != self.latent_dim or not len(latents):
            raise BadInput(f"the latents have the shape {tuple(latents.shape)}; expected (n, {self.latent_dim})")
        if batch_size < 1:
            raise BadInput(f"batch_size is {batch_size}, and must be 1 or more")
        labels = self.checked_labels(len(latents), labels)
        if not torch.isfinite(latents).all():
            raise BadInput("the latents hold NaN or infinite values; expected finite ones of shape (n, latent_dim)")
        network = self.generator_with(ema=ema)
        weight = next(network.parameters())
        batches = []
        with evaluating(network):
            for start in range(0, len(latents), batch_size):
                rows = slice(start, start + batch_size)
                classes = None if labels is None else labels[rows].to(weight.device)
                images = network(latents[rows].to(weight.device, weight.dtype), classes)
                batches.append(images_to_bytes(images).cpu())
        return torch.cat(batches)

    def usual_labels(self, first: int, stop: int) -> Tensor | None:
        """Return the labels of the images of these numbers, where none are asked for.

        Args:
            first: number of the first image.
            stop: one more than the number of the last.

        Returns:
            Classes (n,), in turn; vectors (n, condition_size) of training images, in turn; or None without labels.
        """
        if self.condition_size is not None:
            table = self.generator.conditions.cpu()
            return table[torch.arange(first, stop) % len(table)]
        return None if self.num_classes is None else torch.arange(first, stop) % self.num_classes

    def checked_labels(self, n: int, labels: Tensor | Sequence[int] | int | None) -> Tensor | None:
        """Return the labels of n images: classes (n,), or vectors (n, condition_size); None without labels.

        Args:
            n: number of images.
            labels: n classes, or one for all; or vectors, shape (n, condition_size), or one for all; None for an
                unconditional generator.

        Raises:
            BadInput: labels that are not the generator's, or not as many; none where it takes them.

        >>> from gan_convnorm.gan.loading import load
        >>> load("checkpoints/digits28_conditional_convnorm").checked_labels(2, [3, 7])
        tensor([3, 7])
        """
        if labels is None:
            if self.takes_labels:
                raise BadInput("the generator takes labels, and none are given; give one for each image")
            return None
        if self.condition_size is not None:
            return _vectors(n, self.condition_size, labels)
        if self.num_classes is None:
            raise BadInput("labels are given, and this generator was trained without classes")
        chosen = _whole_numbers(labels)
        chosen = chosen.expand(n) if chosen is not None and chosen.dim() == 0 else chosen
        if chosen is None or chosen.shape != (n,) or not ((chosen >= 0) & (chosen < self.num_classes)).all():
            found = " ".join(str(labels).split())
            raise BadInput(f"labels are {found:.60}; expected {n} whole numbers from 0 to {self.num_classes - 1}")
        return chosen


def _whole_numbers(labels: Tensor | Sequence[int] | int) -> Tensor | None:
    """Return labels as a tensor of whole numbers; None if they are anything else."""
    try:
        found = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError):  # text, or lists of several lengths
        return None
    return None if found.is_floating_point() or found.is_complex() or found.dtype is torch.bool else found.long()


def _vectors(n: int, size: int, labels: Tensor | Sequence[int] | int) -> Tensor:
    if (
        isinstance(labels, Tensor)
        and labels.is_floating_point()
        and labels.shape in ((n, size), (size,))
        and labels.isfinite().all()
    ):
        return labels.cpu().expand(n, size)
    found = f"{labels.dtype} of shape {tuple(labels.shape)}" if isinstance(labels, Tensor) else str(labels)[:60]
    raise BadInput(f"labels are {found}; expected {n} vectors of {size} finite floating-point numbers, or one for all")
