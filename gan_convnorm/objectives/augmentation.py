"""Augmentation that the generator's gradient passes through: DiffAugment (Zhao et al., NeurIPS 2020, arXiv:2006.10738)
and a flip.

It goes before the discriminator in both networks' steps, on real and fake images alike, so that the generator does not
learn the augmentations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput

__all__ = ["AUGMENTATIONS", "augment", "parse_policy"]

#: largest translation and side of the cut, as shares of the image's side (the authors' code)
TRANSLATION = 0.125
CUTOUT = 0.5


def augment(images: Tensor, policy: Sequence[str], random: torch.Generator, *, alike: int = 1) -> Tensor:
    """Augment every image by draws of its own.

    Args:
        images: floating point in [-1, 1], shape (B, C, H, W).
        policy: names of `AUGMENTATIONS` in the order in which they are applied; see `parse_policy`.
        random: source of all draws, on the CPU: they are the same on all devices.
        alike: number of equal parts of the batch that get the same draws: 2 for ``torch.cat([real, fake])`` treats
            the i-th real and the i-th fake image alike; 1 draws for every image.

    Returns:
        The same shape and type, possibly beyond [-1, 1]; differentiable in the images.

    Raises:
        BadInput: an unknown name, or a batch that `alike` does not divide.
    """
    if len(images) % alike:
        raise BadInput(f"{len(images)} images cannot be {alike} equal parts; give parts of equal size or alike=1")
    for name in policy:
        images = _find(name)(images, _Draws(len(images), alike, random))
    return images


def parse_policy(text: str) -> tuple[str, ...]:
    """Names from text such as "color,translation,cutout"; no names from "".

    Raises:
        BadInput: an unknown name or one that occurs twice; the message lists the choices.
    """
    names = tuple(name.strip() for name in text.split(",")) if text.strip() else ()
    for name in names:
        _find(name)
        if names.count(name) > 1:
            raise BadInput(f"augmentation {name!r} occurs {names.count(name)} times in {text!r}; name it once")
    return names


class _Draws:
    """Numbers for a batch: one per image of its first part, repeated for the others."""

    def __init__(self, count: int, alike: int, random: torch.Generator) -> None:
        self.count = count // alike
        self.alike = alike
        self.random = random

    def uniform(self, images: Tensor) -> Tensor:
        """In [0, 1), shape (B, 1, 1, 1), of the images' type and device."""
        return torch.rand(self.count, 1, 1, 1, generator=self.random).repeat(self.alike, 1, 1, 1).to(images)

    def whole(self, low: int, high: int, images: Tensor) -> Tensor:
        """In low .. high inclusive, shape (B, 1), on the images' device."""
        numbers = torch.randint(low, high + 1, (self.count, 1), generator=self.random)
        return numbers.repeat(self.alike, 1).to(images.device)


def _color(images: Tensor, draws: _Draws) -> Tensor:
    """Brightness + U(-1/2, 1/2), then distance from a pixel's gray * U(0, 2), from the image's mean * U(1/2, 3/2)."""
    images = images + (draws.uniform(images) - 0.5)
    gray = images.mean(dim=1, keepdim=True)
    images = torch.lerp(gray, images, 2 * draws.uniform(images))
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, draws.uniform(images) + 0.5)


def _translation(images: Tensor, draws: _Draws) -> Tensor:
    """Down and to the right by whole pixels up to an eighth of the side, also negative; what comes in is 0."""
    for axis in (2, 3):
        side = images.shape[axis]
        reach = int(side * TRANSLATION + 0.5)
        source = torch.arange(side, device=images.device) - draws.whole(-reach, reach, images)
        shape = [len(images), 1, 1, 1]
        shape[axis] = side
        inside = ((source >= 0) & (source < side)).reshape(shape)
        # gather, and no index: the gradient then is a plain scatter.
        moved = torch.take_along_dim(images, source.clamp(0, side - 1).reshape(shape), axis)
        images = moved * inside
    return images


def _cutout(images: Tensor, draws: _Draws) -> Tensor:
    """A square of half the side is 0; its centre is anywhere, so parts of it may lie outside."""
    inside = []
    for axis in (2, 3):
        side = images.shape[axis]
        size = int(side * CUTOUT + 0.5)
        first = draws.whole(0, side - size % 2, images) - size // 2
        position = torch.arange(side, device=images.device)
        inside.append((position >= first) & (position < first + size))
    rows, columns = inside
    return images * ~(rows[:, None, :, None] & columns[:, None, None, :])


def _flip(images: Tensor, draws: _Draws) -> Tensor:
    """Left and right change places in half of the images."""
    return torch.where(draws.uniform(images) < 0.5, images.flip(3), images)


AUGMENTATIONS: dict[str, Callable[[Tensor, _Draws], Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
    "flip": _flip,
}


def _find(name: str) -> Callable[[Tensor, _Draws], Tensor]:
    if name not in AUGMENTATIONS:
        raise BadInput(f"augmentation {name!r} is not known; choose from: {', '.join(AUGMENTATIONS)}, joined by commas")
    return AUGMENTATIONS[name]
