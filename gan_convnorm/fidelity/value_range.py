"""Images as bytes, from floating-point images in a stated range."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput

__all__ = ["ValueRange", "as_bytes"]

#: the values that are black and white in floating-point images
ValueRange = tuple[float, float]
#: a value beyond the range by more than this share of the range's width is far beyond it
FAR = 0.25
#: the largest share of a batch's values that may be far beyond the range
OUTLIERS = 0.01


def as_bytes(images: object, value_range: ValueRange | None, name: str) -> Tensor:
    """Return images as uint8; floating-point ones are scaled, rounded to the nearest byte and clamped.

    Samplers, such as those of diffusion models, overshoot their range a little, and those values are clamped. Images in
    another range, such as [0, 255] or [-1, 1] in place of [0, 1], would get a wrong score without any sign of it. So a
    batch is refused if more than 1% of its values are beyond the range by more than a quarter of the range's width.
    Images in a narrower range, such as [0, 1] in place of [-1, 1], cannot be told from pale ones, and are not refused.

    >>> as_bytes(torch.tensor([[[[-0.1, 0.5, 1.1]]]]), (0, 1), "samples")
    tensor([[[[  0, 128, 255]]]], dtype=torch.uint8)
    >>> as_bytes(torch.tensor([[[[-1.0, 0.5, 1.0]]]]), (0, 1), "samples")
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: samples go from -1 to 1, far beyond value_range (0, 1); ...

    Args:
        images: uint8 or floating point, shape (N, C, H, W).
        value_range: the values that are black and white in floating-point images; None refuses such images.
        name: the images in words, for messages.

    Returns:
        The bytes, on the same device.

    Raises:
        BadInput: another type or shape, floating point without a range, NaN, infinite values, or another range.
    """
    if not isinstance(images, Tensor) or images.dim() != 4:
        found = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise BadInput(f"{name} are {found}; expected a tensor of shape (N, C, H, W)")
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point() or value_range is None:
        raise BadInput(
            f"{name} are {str(images.dtype).removeprefix('torch.')}; expected uint8 from 0 to 255, or floating point "
            "with value_range=(0, 1) or (-1, 1)"
        )
    black, white = value_range
    images = images.detach().float()
    if not images.isfinite().all():
        raise BadInput(f"{name} hold NaN or infinite values, and mean nothing")
    shares = (images - black) / (white - black)
    if ((shares < -FAR) | (shares > 1 + FAR)).float().mean() > OUTLIERS:
        raise BadInput(
            f"{name} go from {images.min().item():.3g} to {images.max().item():.3g}, far beyond value_range "
            f"({black:g}, {white:g}); give the values that are black and white in them, or clamp them first"
        )
    return (shares * 255).round().clamp(0, 255).to(torch.uint8)
