"""Attacks that read the network's gradient: FGSM and PGD, in the L-infinity ball."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["fgsm", "input_gradient", "pgd", "uniform"]

Model = Callable[[Tensor], Tensor]


def fgsm(model: Model, images: Tensor, labels: Tensor, *, eps: float) -> Tensor:
    """x + eps sign(grad L(x)), cut to [0, 1] (Goodfellow et al., ICLR 2015, arXiv:1412.6572, section 4).

    Args:
        model: maps images in [0, 1] to logits (B, K), in the mode that it is attacked in.
        images: floating point in [0, 1], shape (B, C, H, W).
        labels: true classes, int64, shape (B,).
        eps: largest change of a value.

    Returns:
        Adversarial images, the same shape.
    """
    return (images + eps * input_gradient(model, images, labels).sign()).clamp(0, 1)


def pgd(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    step: float,
    steps: int,
    random: torch.Generator | None = None,
) -> Tensor:
    """Projected sign-gradient ascent on the cross entropy (Madry et al., ICLR 2018, arXiv:1706.06083, section 2.1).

    Args:
        model: as in `fgsm`.
        images: as in `fgsm`.
        labels: as in `fgsm`.
        eps: radius of the ball that every step projects to.
        step: length of a step, in every value.
        steps: number of steps; the last iterate counts.
        random: source of the uniform start in the ball, on the CPU; without one the start is the image.

    Returns:
        Adversarial images, the same shape.
    """
    low, high = (images - eps).clamp(0, 1), (images + eps).clamp(0, 1)
    found = images
    if random is not None:
        found = (images + eps * uniform(images, random)).clamp(0, 1)
    for _ in range(steps):
        found = (found + step * input_gradient(model, found, labels).sign()).clamp(low, high)
    return found


def input_gradient(model: Model, images: Tensor, labels: Tensor) -> Tensor:
    """The gradient of the summed cross entropy by the images; the parameters' gradients stay as they are."""
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        loss = F.cross_entropy(model(images).float(), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, images)
    return gradient


def uniform(images: Tensor, random: torch.Generator) -> Tensor:
    """U(-1, 1) in the shape and on the device of images."""
    return (2 * torch.rand(images.shape, generator=random) - 1).to(images)
