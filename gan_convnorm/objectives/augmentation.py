"""Augmentation that is differentiable in the images: DiffAugment and a flip.

The source of DiffAugment is Zhao et al. (NeurIPS 2020, arXiv:2006.10738). Images are augmented before the discriminator
in both networks' steps, real and fake ones alike, so that the generator does not learn the augmentations.
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


def augment(
    images: Tensor,
    policy: Sequence[str],
    rng: torch.Generator,
    *,
    start: int = 0,
    whole: int | None = None,
) -> Tensor:
    """Augment every image by its own random draws.

    >>> images = torch.arange(8.0).view(4, 1, 1, 2)
    >>> augment(images, ["flip"], torch.Generator().manual_seed(0)).flatten(1)
    tensor([[1., 0.],
            [2., 3.],
            [5., 4.],
            [7., 6.]])

    Args:
        images: floating point in [-1, 1], shape (B, C, H, W).
        policy: names of `AUGMENTATIONS` in the order in which they are applied; see `parse_policy`.
        rng: source of all draws, on the CPU: they are the same on all devices.
        start: the first image's place in a batch of `whole` images.
        whole: images of that batch, whose draws are made, and of which these images get theirs; B when not given.

    Returns:
        The same shape and type, possibly beyond [-1, 1]; differentiable in the images.

    Raises:
        BadInput: an unknown name.
    """
    whole = len(images) if whole is None else whole
    for name in policy:
        images = _find(name)(images, _Draws(whole, rng, slice(start, start + len(images))))
    return images


def parse_policy(text: str) -> tuple[str, ...]:
    """Return the names in a text such as "color,translation,cutout"; none for an empty text.

    >>> parse_policy("color, cutout")
    ('color', 'cutout')

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
    """Random numbers for some rows of a batch, of which those for all rows are drawn."""

    def __init__(self, count: int, rng: torch.Generator, rows: slice) -> None:
        self.count, self.rng, self.rows = count, rng, rows

    def uniform(self, images: Tensor) -> Tensor:
        """Return numbers in [0, 1), shape (B, 1, 1, 1), of the images' type and device."""
        numbers = torch.rand(self.count, 1, 1, 1, generator=self.rng, dtype=torch.float32)
        return numbers[self.rows].to(images)

    def whole(self, low: int, high: int, images: Tensor) -> Tensor:
        """Return whole numbers from low to high, both included, shape (B, 1), on the images' device."""
        numbers = torch.randint(low, high + 1, (self.count, 1), generator=self.rng)
        return numbers[self.rows].to(images.device)


def _color(images: Tensor, draws: _Draws) -> Tensor:
    """Change brightness by U(-1/2, 1/2), saturation by a factor of U(0, 2), and contrast by one of U(1/2, 3/2)."""
    if images.shape[1] == 4:  # an alpha channel has no colour
        return torch.cat([_color(images[:, :3], draws), images[:, 3:]], dim=1)
    images = images + (draws.uniform(images) - 0.5)
    gray = images.mean(dim=1, keepdim=True)
    images = torch.lerp(gray, images, 2 * draws.uniform(images))
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, draws.uniform(images) + 0.5)


def _translation(images: Tensor, draws: _Draws) -> Tensor:
    """Shift by whole pixels, up to an eighth of the side in each direction; pixels from outside are 0."""
    for axis in (2, 3):
        side = images.shape[axis]
        reach = int(side * TRANSLATION + 0.5)
        source = torch.arange(side, device=images.device) - draws.whole(-reach, reach, images)
        shape = [len(images), 1, 1, 1]
        shape[axis] = side
        inside = ((source >= 0) & (source < side)).reshape(shape)
        # take_along_dim, not an index: its gradient is a plain scatter.
        moved = torch.take_along_dim(images, source.clamp(0, side - 1).reshape(shape), axis)
        images = moved * inside
    return images


def _cutout(images: Tensor, draws: _Draws) -> Tensor:
    """Set a square of half the side to 0; its centre is anywhere in the image, so parts of it may lie outside."""
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
    """Mirror each image left to right with probability 1/2."""
    return torch.where(draws.uniform(images) < 0.5, images.flip(3), images)


AUGMENTATIONS: dict[str, Callable[[Tensor, _Draws], Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
    "flip": _flip,
}


def _find(name: str) -> Callable[[Tensor, _Draws], Tensor]:
    if name not in AUGMENTATIONS:
        raise BadInput(
            f"augmentation {name!r} is not known; choose from: {', '.join(AUGMENTATIONS)}, joined by commas; or ada, "
            "alone"
        )
    return AUGMENTATIONS[name]
