"""SPSA, an attack that estimates the gradient from the network's logits, in the L-infinity ball."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_convnorm.robustness.attacks.margins import margins
from gan_convnorm.robustness.attacks.start import Model, check_above, check_count, right_images, warn_of_zeros

__all__ = ["spsa"]


@torch.no_grad()
def spsa(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    rng: torch.Generator,
    steps: int = 20,
    samples: int = 64,
    delta: float = 0.01,
    learning_rate: float | None = None,
) -> Tensor:
    """Return images after Adam on the margin, with gradients estimated by finite differences.

    SPSA (Uesato et al., ICML 2018, arXiv:1802.05666). A step's estimate is the mean over the samples of
    (f(x + delta v) - f(x - delta v)) / (2 delta v), where v are random signs. A step costs 2 `samples` queries; the
    clean image costs one more.

    >>> model = lambda images: torch.stack([images.mean((1, 2, 3)), 1 - images.mean((1, 2, 3))], dim=1)
    >>> images, rng = torch.full((1, 1, 4, 4), 0.52), torch.Generator().manual_seed(0)
    >>> model(spsa(model, images, torch.tensor([0]), eps=0.1, rng=rng, samples=8)).argmax(1)
    tensor([1])

    Args:
        model: maps images in [0, 1] to logits (B, K), in the mode that it is attacked in.
        images: floating point in [0, 1], shape (B, C, H, W).
        labels: true classes, int64, shape (B,).
        eps: radius of the ball.
        rng: source of the signs, on the CPU.
        steps: number of Adam's steps.
        samples: directions in a step.
        delta: length of the finite differences.
        learning_rate: Adam's learning rate, about the length of a step. When not given, 0.01, or as much as takes an
            image twice as far as the ball's edge.

    Returns:
        Adversarial images, the same shape; an image that is misclassified from the start comes back as it was.

    Warns:
        ZeroGradient: images whose estimated gradient is zero at the start.

    Images outside [0, 1], labels that do not fit, a negative radius, or another number that is not above 0 raise
    `BadInput`.
    """
    for name, count in (("steps", steps), ("samples", samples)):
        check_count("spsa", name, count)
    for name, value in (("delta", delta), ("learning_rate", 0.01 if learning_rate is None else learning_rate)):
        check_above("spsa", name, value)
    right = right_images("spsa", model, images, labels, eps)
    learning_rate = max(0.01, 2 * eps / steps) if learning_rate is None else learning_rate
    result = images.detach().clone()
    if not len(right):
        return result
    shape, images, labels = images.shape, images[right], labels[right]
    low, high = (images - eps).clamp(0, 1), (images + eps).clamp(0, 1)
    found = images.clone()
    # A leaf tensor, as torch's optimizers want.
    found.requires_grad_()
    adam = torch.optim.Adam([found], lr=learning_rate)
    for step in range(steps):
        gradient = torch.zeros_like(images)
        for _ in range(samples):
            # Draw for every image, so that an image's result does not depend on which others are right.
            signs = (2 * torch.randint(0, 2, shape, generator=rng) - 1).to(images)[right]
            difference = margins(model(found + delta * signs), labels) - margins(model(found - delta * signs), labels)
            # 1 / v = v for signs
            gradient += difference.view(-1, 1, 1, 1) * signs / (2 * delta * samples)
        found.grad = gradient.nan_to_num(0, 0, 0)
        if step == 0:
            warn_of_zeros("spsa", found.grad)
        adam.step()
        found.copy_(found.clamp(low, high))
    result[right] = found.detach()
    return result
