"""The Square attack, a random search that reads the network's logits alone, in the L-infinity ball.

It is written here, as SPSA is, because no library fits. torchattacks 3.5.1 pins requests 2.25, which takes urllib3 and
idna back to old releases. Its Square attack tries one square for the whole batch, so that an image's result depends on
the others. It stops at two equal logits, never reaches the last row or column, returns the images that it could not
fool unchanged, and seeds torch's global state. The Adversarial Robustness Toolbox 1.20 also tries one square for the
batch and never reaches the last row or column. It draws from NumPy's global state and has no SPSA. A test compares the
success rates with torchattacks where that is installed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.robustness.attacks.margins import margins
from gan_convnorm.robustness.attacks.start import Model, check_count, right_images

__all__ = ["square"]


@torch.no_grad()
def square(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    queries: int,
    rng: torch.Generator,
    share: float = 0.8,
) -> Tensor:
    """Return images after a random search with square patches, each by at most `queries` forwards.

    The Square attack (Andriushchenko et al., ECCV 2020, arXiv:1912.00049, algorithms 1 and 2, L-infinity). It starts
    from vertical stripes of +-eps. Each query tries one square of +-eps per channel at a random place, and keeps it
    where the margin falls. The squares shrink as published. As in the authors' package, the clean image takes one more
    forward. An image that is misclassified then is not attacked, and one that is misclassified later is not queried
    again.

    >>> model = lambda images: torch.stack([images.mean((1, 2, 3)), 1 - images.mean((1, 2, 3))], dim=1)
    >>> images, rng = torch.full((1, 1, 4, 4), 0.52), torch.Generator().manual_seed(0)
    >>> model(square(model, images, torch.tensor([0]), eps=0.1, queries=100, rng=rng)).argmax(1)
    tensor([1])

    Args:
        model: maps images in [0, 1] to logits (B, K), in the mode that it is attacked in.
        images: floating point in [0, 1], shape (B, C, H, W).
        labels: true classes, int64, shape (B,).
        eps: radius of the ball.
        queries: forwards of the model per image, 1 or more; the first is of the stripes.
        rng: source of the places and signs, on the CPU.
        share: share of the pixels in a first square.

    Returns:
        Adversarial images, the same shape; an image that is misclassified from the start comes back as it was.

    Raises:
        BadInput: images outside [0, 1], labels that do not fit, a negative radius, fewer than one
            query, or a share that is not above 0 and at most 1.
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
    stripes = torch.randint(0, 2, (count, channels, 1, width), generator=rng).to(images) * 2 - 1
    found[right] = (images + eps * stripes).clamp(low, high)[right]
    best = torch.full((count,), -torch.inf, device=images.device)
    best[right] = margins(model(found[right]), labels[right]).to(best)
    for query in range(1, queries):
        # Draw for every image, queried or not, so that an image's result does not depend on the others.
        side = _side(query / queries, share, height, width)
        tops = torch.randint(0, height - side + 1, (count,), generator=rng)
        lefts = torch.randint(0, width - side + 1, (count,), generator=rng)
        signs = torch.randint(0, 2, (count, channels, 1, 1), generator=rng).to(images) * 2 - 1
        left_over = (best >= 0).nonzero()[:, 0]  # 0: of two equal logits argmax takes the first, perhaps the true class
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
