"""Random crops and flips of whole batches."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["crop_and_flip"]


def crop_and_flip(images: Tensor, padding: int, flip: bool, random: torch.Generator) -> Tensor:
    """Each image shifted by up to `padding` pixels in both directions, zeros moving in, and mirrored or not.

    Args:
        images: shape (B, C, H, W).
        padding: largest shift; 0 for none.
        flip: mirror half of the images left to right.
        random: source of the shifts and flips, on the CPU.
    """
    count, _, height, width = images.shape
    if padding:
        tops, lefts = torch.randint(0, 2 * padding + 1, (2, count, 1), generator=random).to(images.device)
        rows = tops + torch.arange(height, device=images.device)
        columns = lefts + torch.arange(width, device=images.device)
        padded = F.pad(images, (padding,) * 4)
        numbers = torch.arange(count, device=images.device)[:, None, None]
        # Advanced indices around a slice put the channels last.
        images = padded[numbers, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    if flip:
        chosen = torch.randint(0, 2, (count, 1, 1, 1), generator=random).to(images.device).bool()
        images = torch.where(chosen, images.flip(3), images)
    return images
