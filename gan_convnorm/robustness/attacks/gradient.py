"""Attacks that read the network's gradient: FGSM and PGD, in the L-infinity ball."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_convnorm.robustness.attacks.start import Model, check_above, check_count, right_images, warn_of_zeros

__all__ = ["ascend", "fgsm", "input_gradient", "pgd", "uniform"]


def fgsm(model: Model, images: Tensor, labels: Tensor, *, eps: float) -> Tensor:
    """Return x + eps sign(grad L(x)), cut to [0, 1] (Goodfellow et al., ICLR 2015, arXiv:1412.6572, section 4).

    >>> model = lambda images: torch.stack([images.mean((1, 2, 3)), 1 - images.mean((1, 2, 3))], dim=1)
    >>> fgsm(model, torch.full((1, 1, 1, 1), 0.75), torch.tensor([0]), eps=0.5).item()
    0.25

    Args:
        model: maps images in [0, 1] to logits (B, K), in the mode that it is attacked in.
        images: floating point in [0, 1], shape (B, C, H, W).
        labels: true classes, int64, shape (B,).
        eps: largest change of a value.

    Returns:
        Adversarial images, the same shape; an image that is misclassified from the start comes back as it was.

    Warns:
        ZeroGradient: images whose gradient is zero.

    Images outside [0, 1], labels that do not fit, or a negative radius raise `BadInput`.
    """
    right = right_images("fgsm", model, images, labels, eps)
    found = images.detach().clone()
    if len(right):
        sign = _sign(model, images[right], labels[right])
        warn_of_zeros("fgsm", sign)
        found[right] = (images[right] + eps * sign).clamp(0, 1)
    return found


def pgd(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    step: float,
    steps: int,
    rng: torch.Generator | None = None,
) -> Tensor:
    """Return images after projected sign-gradient ascent (Madry et al., ICLR 2018, arXiv:1706.06083, section 2.1).

    >>> model = lambda images: torch.stack([images.mean((1, 2, 3)), 1 - images.mean((1, 2, 3))], dim=1)
    >>> pgd(model, torch.full((1, 1, 1, 1), 0.75), torch.tensor([0]), eps=0.5, step=0.125, steps=2).item()
    0.5

    Args:
        model: as in `fgsm`.
        images: as in `fgsm`.
        labels: as in `fgsm`.
        eps: radius of the ball that every step projects to.
        step: length of a step, in every value.
        steps: number of steps; the last iterate counts.
        rng: source of the uniform start in the ball, on the CPU; without one the start is the image.

    Returns:
        Adversarial images, the same shape; an image that is misclassified from the start comes back as it was.

    Warns:
        ZeroGradient: images whose gradient is zero at the start.

    Images outside [0, 1], labels that do not fit, a negative radius, or no step raise `BadInput`.
    """
    check_count("pgd", "steps", steps)
    check_above("pgd", "step", step)
    right = right_images("pgd", model, images, labels, eps)
    found = images.detach().clone()
    if len(right):
        # Every image has its draw, so that its start does not depend on which others are right.
        start = None if rng is None else uniform(images, rng)[right]
        found[right] = ascend(
            model, images[right], labels[right], eps=eps, step=step, steps=steps, start=start, warn=True
        )
    return found


def ascend(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    step: float,
    steps: int,
    start: Tensor | None = None,
    warn: bool = False,
) -> Tensor:
    """Return all images after projected sign-gradient ascent on the cross entropy, misclassified ones too.

    >>> model = lambda images: torch.stack([images.mean((1, 2, 3)), 1 - images.mean((1, 2, 3))], dim=1)
    >>> images, wrong = torch.full((1, 1, 1, 1), 0.75), torch.tensor([1])
    >>> ascend(model, images, wrong, eps=0.5, step=0.125, steps=2).item()
    1.0

    Args:
        model: as in `fgsm`.
        images: as in `fgsm`.
        labels: as in `fgsm`.
        eps: as in `pgd`.
        step: as in `pgd`.
        steps: as in `pgd`.
        start: where in the ball to start, from -1 to 1 in every value; None for the image.
        warn: warn of images whose gradient is zero at the start.

    Returns:
        Adversarial images, the same shape.
    """
    low, high = (images - eps).clamp(0, 1), (images + eps).clamp(0, 1)
    found = images if start is None else (images + eps * start).clamp(0, 1)
    for number in range(steps):
        sign = _sign(model, found, labels)
        if warn and number == 0:
            warn_of_zeros("pgd", sign)
        found = (found + step * sign).clamp(low, high)
    return found


def input_gradient(model: Model, images: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient of the summed cross entropy by the images; the parameters' gradients stay as they are.

    >>> input_gradient(lambda x: x.flatten(1), torch.zeros(1, 1, 1, 2), torch.tensor([0]))
    tensor([[[[-0.5000,  0.5000]]]])
    """
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        loss = F.cross_entropy(model(images).float(), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, images)
    return gradient


def uniform(images: Tensor, rng: torch.Generator) -> Tensor:
    """Return U(-1, 1) in the shape and on the device of images.

    >>> bool((uniform(torch.zeros(2, 1, 4, 4), torch.Generator().manual_seed(0)).abs() <= 1).all())
    True
    """
    return (2 * torch.rand(images.shape, generator=rng, dtype=torch.float32) - 1).to(images)


def _sign(model: Model, images: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient's sign; a NaN is no direction, and would make an image that no network gets right."""
    return input_gradient(model, images, labels).sign().nan_to_num(0)
