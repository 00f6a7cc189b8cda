"""Random crops and flips of whole batches."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["crop_and_flip"]


def crop_and_flip(images: Tensor, padding: int, flip: bool, rng: torch.Generator) -> Tensor:
    """Return images shifted by up to `padding` pixels in both directions, filled with zeros, and mirrored or not.

    >>> crop_and_flip(torch.ones(4, 1, 8, 8), 2, True, torch.Generator().manual_seed(0)).shape
    torch.Size([4, 1, 8, 8])

    Args:
        images: shape (B, C, H, W).
        padding: largest shift; 0 for none.
        flip: mirror half of the images left to right.
        rng: source of the shifts and flips, on the CPU.

    Returns:
        The same shape.
    """
    count, channels, height, width = images.shape
    if padding:
        tops, lefts = torch.randint(0, 2 * padding + 1, (2, count, 1, 1, 1), generator=rng).to(images.device)
        rows = tops + torch.arange(height, device=images.device)[:, None]
        columns = lefts + torch.arange(width, device=images.device)
        numbers = torch.arange(count, device=images.device)[:, None, None, None]
        # With the channels among the indices the result has the usual strides. (A slice there puts them last; of one
        # channel torch takes that for channels_last, and on CPUs its kernels overran memory for 4 filters, 2.14.1.)
        every_channel = torch.arange(channels, device=images.device)[:, None, None]
        images = F.pad(images, (padding,) * 4)[numbers, every_channel, rows, columns]
    if flip:
        chosen = torch.randint(0, 2, (count, 1, 1, 1), generator=rng).to(images.device).bool()
        images = torch.where(chosen, images.flip(3), images)
    return images
