"""Floating-point images as bytes, by the values that are black and white."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput

__all__ = ["ValueRange", "as_bytes"]

#: the values of black and of white
ValueRange = tuple[float, float]
#: fraction of the range by which data may exceed it through rounding
ROUNDING = 1e-4
#: warn if more than this share of the samples' values lies beyond the range
DOUBTFUL = 0.25


def as_bytes(images: Tensor, value_range: ValueRange | None, name: str, *, samples: bool) -> Tensor:
    """Return images as uint8, on their device; floating-point ones are scaled and rounded to the nearest byte.

    Data lie in their range. Samples may go beyond it, as a network's do without a last tanh, and are clamped. A warning
    says so where more than a quarter of the values lies beyond: then the range may be another.

    >>> as_bytes(torch.tensor([0.0, 0.5, 1.1]), (0, 1), "samples", samples=True)
    tensor([  0, 128, 255], dtype=torch.uint8)

    Args:
        images: uint8 or floating point, of any shape.
        value_range: black and white of floating-point images, such as (0, 1) or (-1, 1).
        name: the images in words, for messages.
        samples: they are a network's samples.

    Raises:
        BadInput: another type, floating point without a range, NaN, or data beyond their range.
    """
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point() or value_range is None:
        raise BadInput(
            f"{name} are {str(images.dtype).removeprefix('torch.')}; expected uint8 from 0 to 255, or floating point "
            "with value_range=(0, 1) or (-1, 1)"
        )
    black, white = value_range
    shares = (images.detach().float() - black) / (white - black)
    if not shares.isfinite().all():
        raise BadInput(f"{name} hold NaN or infinite values, and mean nothing")
    beyond = (shares < -ROUNDING) | (shares > 1 + ROUNDING)
    share = beyond.float().mean().item() if len(images) else 0.0
    if share > 0 and (not samples or share > DOUBTFUL):
        found = f"{name} go from {images.min().item():.3g} to {images.max().item():.3g}"
        if not samples:
            raise BadInput(f"{found}, beyond value_range {value_range}; expected black and white at its ends")
        warnings.warn(
            f"{found}: {share:.0%} of the values lie beyond value_range {value_range}, and are clamped; if that is not "
            "what the network makes, give its own range",
            stacklevel=2,
        )
    return (shares * 255).round().clamp(0, 255).to(torch.uint8)
