"""Attacks that read the network's logits alone: SPSA and the Square attack, in the L-infinity ball."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.robustness.attacks.start import Model, check_above, check_count, right_images, warn_of_zeros

__all__ = ["margins", "spsa", "square"]


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the true class's logit less the largest other, shape (B,); below zero where the prediction is wrong."""
    true = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return true[:, 0] - others.amax(dim=1)


@torch.no_grad()
def spsa(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    random: torch.Generator,
    steps: int = 20,
    samples: int = 64,
    delta: float = 0.01,
    learning_rate: float = 0.01,
) -> Tensor:
    """Return images after Adam on the margin with a gradient that is estimated by finite differences.

    SPSA (Uesato et al., ICML 2018, arXiv:1802.05666). The estimate of a step is the mean over the samples of
    (f(x + delta v) - f(x - delta v)) / (2 delta v), v of random signs. It costs 2 `samples` queries, and the image as
    it is one more.

    Args:
        model: maps images in [0, 1] to logits (B, K), in the mode that it is attacked in.
        images: floating point in [0, 1], shape (B, C, H, W).
        labels: true classes, int64, shape (B,).
        eps: radius of the ball.
        random: source of the signs, on the CPU.
        steps: number of Adam's steps.
        samples: directions in a step.
        delta: length of the finite differences.
        learning_rate: Adam's.

    Returns:
        Adversarial images, the same shape; an image that is misclassified from the start comes back as it was.

    Raises:
        BadInput: images outside [0, 1], labels that do not fit, a negative radius, or another number that makes no
            attack.

    Warns:
        NotAttacked: images whose estimated gradient is zero at the start.
    """
    for name, count in (("steps", steps), ("samples", samples)):
        check_count("spsa", name, count)
    for name, value in (("delta", delta), ("learning_rate", learning_rate)):
        check_above("spsa", name, value)
    right = right_images("spsa", model, images, labels, eps)
    result = images.detach().clone()
    if not len(right):
        return result
    shape, images, labels = images.shape, images[right], labels[right]
    low, high = (images - eps).clamp(0, 1), (images + eps).clamp(0, 1)
    found = images.clone()
    # A parameter of its own, since the optimizer is torch's.
    found.requires_grad_()
    adam = torch.optim.Adam([found], lr=learning_rate)
    for step in range(steps):
        gradient = torch.zeros_like(images)
        for _ in range(samples):
            # Every image has its draw, so that it does not depend on which others are right.
            signs = (2 * torch.randint(0, 2, shape, generator=random) - 1).to(images)[right]
            difference = margins(model(found + delta * signs), labels) - margins(model(found - delta * signs), labels)
            # 1 / v = v
            gradient += difference.view(-1, 1, 1, 1) * signs / (2 * delta * samples)
        found.grad = gradient.nan_to_num(0, 0, 0)
        if step == 0:
            warn_of_zeros("spsa", found.grad)
        adam.step()
        found.copy_(found.clamp(low, high))
    result[right] = found.detach()
    return result


@torch.no_grad()
def square(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    queries: int,
    random: torch.Generator,
    share: float = 0.8,
) -> Tensor:
    """Return images after a random search with square patches, each by at most `queries` forwards.

    The Square attack (Andriushchenko et al., ECCV 2020, arXiv:1912.00049, algorithms 1 and 2, L-infinity): from
    vertical stripes of +-eps, one square of +-eps per channel at a random place is tried per query and kept where the
    margin falls. The squares shrink as published. As in the authors' package the image as it is has one forward more,
    an image that is misclassified then is not attacked, and one that is misclassified later is not queried again.

    Args:
        model: as in `spsa`.
        images: as in `spsa`.
        labels: as in `spsa`.
        eps: radius of the ball.
        queries: forwards of the model per image, 1 or more; the first is of the stripes.
        random: source of the places and signs, on the CPU.
        share: share of the pixels in a first square.

    Returns:
        Adversarial images, the same shape; an image that is misclassified from the start comes back as it was.

    Raises:
        BadInput: images outside [0, 1], labels that do not fit, a negative radius, no query, or a share that is none.
    """
    check_count("square", "queries", queries)
    if not 0 < share <= 1:
        raise BadInput(f"square: share is {share}; expected a share above 0, at most 1")
    right = right_images("square", model, images, labels, eps)
    found = images.detach().clone()
    if not len(right):
        return found
    count, channels, height, width = images.shape
    low, high = (images - eps).clamp(0, 1), (images + eps).clamp(0, 1)
    stripes = torch.randint(0, 2, (count, channels, 1, width), generator=random).to(images) * 2 - 1
    found[right] = (images + eps * stripes).clamp(low, high)[right]
    best = torch.full((count,), -torch.inf, device=images.device)
    best[right] = margins(model(found[right]), labels[right]).to(best)
    for query in range(1, queries):
        # Every image has its draw whether it is queried or not, so that one does not depend on the others' fate.
        side = _side(query / queries, share, height, width)
        tops = torch.randint(0, height - side + 1, (count,), generator=random)
        lefts = torch.randint(0, width - side + 1, (count,), generator=random)
        signs = torch.randint(0, 2, (count, channels, 1, 1), generator=random).to(images) * 2 - 1
        left_over = (best >= 0).nonzero()[:, 0]  # of two equal logits the first is the prediction, perhaps the true one
        if not len(left_over):
            break
        tried = _with_square(images, found, eps * signs, tops.to(best.device), lefts.to(best.device), side)
        tried = tried.clamp(low, high)[left_over]
        margin = margins(model(tried), labels[left_over]).to(best)
        better = margin < best[left_over]
        found[left_over[better]] = tried[better]
        best[left_over[better]] = margin[better]
    return found


def _with_square(images: Tensor, found: Tensor, change: Tensor, tops: Tensor, lefts: Tensor, side: int) -> Tensor:
    rows = torch.arange(images.shape[2], device=images.device) - tops[:, None]
    columns = torch.arange(images.shape[3], device=images.device) - lefts[:, None]
    inside = ((rows >= 0) & (rows < side))[:, :, None] & ((columns >= 0) & (columns < side))[:, None, :]
    return torch.where(inside[:, None], images + change, found)


def _side(progress: float, share: float, height: int, width: int) -> int:
    """Return a square's side by the published schedule, which halves the share as the queries are used."""
    halvings = sum(progress > limit for limit in (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8))
    return min(max(1, round(math.sqrt(share / 2**halvings * height * width))), height, width)
