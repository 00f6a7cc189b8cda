"""Checks that every attack begins with, and the images that are classified right."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput

__all__ = ["Model", "ZeroGradient", "check_above", "check_count", "right_images", "warn_of_zeros"]

Model = Callable[[Tensor], Tensor]


class ZeroGradient(UserWarning):
    """Images at which an attack found no direction at its start, so that it may have failed.

    >>> print(ZeroGradient("pgd", count=1, total=2))
    pgd: the first gradient is zero or NaN at 1 of 2 images, so the attack may have failed there; a network may hide its
    gradient, so measure with square too

    Args:
        attack: its name.
        count: number of the images.
        total: number of images that it was to attack.
    """

    def __init__(self, attack: str, count: int, total: int) -> None:
        super().__init__(
            f"{attack}: the first gradient is zero or NaN at {count} of {total} images, so the attack may have failed "
            "there; a network may hide its gradient, so measure with square too"
        )
        self.attack, self.count, self.total = attack, count, total


def right_images(attack: str, model: Model, images: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Return the numbers of the images that are classified right; attacks leave the others as they are.

    >>> images = torch.tensor([[0.9, 0.1], [0.8, 0.2]]).view(2, 1, 1, 2)
    >>> right_images("fgsm", torch.nn.Flatten(), images, torch.tensor([0, 1]), eps=0.1)
    tensor([0])

    Args:
        attack: name, for messages.
        model: maps images to logits (B, K).
        images: shape (B, C, H, W), from 0 to 1.
        labels: true classes, int64, shape (B,).
        eps: radius of the ball.

    Raises:
        BadInput: images or labels of another type or shape, images that are not from 0 to 1, a label that is no class
            of the model's, or a radius that is negative or not finite.
    """
    if not (0 <= eps < math.inf):
        raise BadInput(f"{attack}: eps is {eps}; expected 0 or more, of images from 0 to 1, such as 8 / 255")
    if not images.is_floating_point() or images.dim() != 4:
        raise BadInput(
            f"{attack}: found {images.dtype} images of shape {tuple(images.shape)}; expected floating point of shape "
            "(B, C, H, W)"
        )
    if labels.is_floating_point() or labels.shape != images.shape[:1]:
        raise BadInput(
            f"{attack}: found {labels.dtype} labels of shape {tuple(labels.shape)}; expected int64 of shape "
            f"({len(images)},)"
        )
    if not images.numel():
        return labels.new_empty(0)
    low, high = (float(value) for value in images.detach().aminmax())
    if not (low >= 0 and high <= 1):  # NaN is refused too
        raise BadInput(
            f"{attack}: the images are from {low:g} to {high:g}; expected 0 to 1, since the ball is cut there: put "
            "their normalization into the model"
        )
    with torch.no_grad():
        logits = model(images)
    if int(labels.min()) < 0 or int(labels.max()) >= logits.shape[1]:
        raise BadInput(
            f"{attack}: labels are from {int(labels.min())} to {int(labels.max())}; expected 0 to "
            f"{logits.shape[1] - 1}, the model's classes"
        )
    return (logits.argmax(dim=1) == labels).nonzero()[:, 0]


def check_above(attack: str, name: str, value: float) -> None:
    """Refuse a number that is not above zero and finite.

    >>> check_above("spsa", "delta", 0.0)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: spsa: delta is 0.0; expected a number above 0

    Raises:
        BadInput: names the number.
    """
    if not 0 < value < math.inf:
        raise BadInput(f"{attack}: {name} is {value}; expected a number above 0")


def check_count(attack: str, name: str, value: int) -> None:
    """Refuse a number below one.

    >>> check_count("square", "queries", 0)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: square: queries is 0; expected 1 or more

    Raises:
        BadInput: names the number.
    """
    if not value >= 1:
        raise BadInput(f"{attack}: {name} is {value}; expected 1 or more")


def warn_of_zeros(attack: str, directions: Tensor) -> None:
    """Warn of images whose gradient is zero in every value.

    >>> with warnings.catch_warnings(record=True) as found:
    ...     warnings.simplefilter("always")
    ...     warn_of_zeros("pgd", torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    >>> [(warning.message.count, warning.message.total) for warning in found]
    [(1, 2)]
    """
    count = int((directions == 0).flatten(1).all(dim=1).sum())
    if count:
        warnings.warn(ZeroGradient(attack, count, len(directions)), stacklevel=3)
