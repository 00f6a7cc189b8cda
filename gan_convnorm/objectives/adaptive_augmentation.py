"""Adaptive discriminator augmentation (ADA): transforms of which each happens with a probability p.

The source is Karras et al. (NeurIPS 2020, arXiv:2006.06676), section 3 and appendix B. These are the groups that the
authors found the best: pixel blitting, geometric and colour transforms. All are differentiable in the images.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["augment_adaptively", "random_colour", "random_geometry"]

#: standard deviations of log2 scales and of the translation as a share of the side; largest integer translation
SCALE, ANISOTROPY, FRACTION, INTEGER = 0.2, 0.2, 0.125, 0.125
#: standard deviations of brightness, for images in [-1, 1], and of log2 contrast and log2 saturation
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.5, 1.0


def augment_adaptively(
    images: Tensor, p: float, rng: torch.Generator, *, start: int = 0, whole: int | None = None
) -> Tensor:
    """Augment every image by its own random draws, each transform with probability p.

    >>> images = torch.rand(2, 3, 8, 8)
    >>> augment_adaptively(images, 0.0, torch.Generator()) is images
    True

    Args:
        images: floating point in [-1, 1], shape (B, C, H, W), with C 1 (grey), 3 (RGB) or 4 (RGBA).
        p: from 0, which changes nothing, to 1.
        rng: source of all draws, on the CPU: they are the same on all devices.
        start: the first image's place in a batch of `whole` images.
        whole: images of that batch, whose draws are made, and of which these images get theirs; B when not given.

    Returns:
        The same shape and type, possibly beyond [-1, 1]; differentiable in the images.
    """
    if p <= 0:
        return images
    count, rows = len(images) if whole is None else whole, slice(start, start + len(images))
    height, width = images.shape[2:]
    geometry = random_geometry(count, p, (height, width), rng)[rows]
    colour = random_colour(count, p, rng)[rows]
    return _recolour(_resample(images, geometry), colour)


def random_geometry(count: int, p: float, size: tuple[int, int], rng: torch.Generator) -> Tensor:
    """Return maps from an augmented image's pixels to the source's: in pixels from the centre, x to the right, y down.

    In this order, each with probability p: mirror; quarter turn; whole-pixel translation; scale; rotation, before and
    after an anisotropic scale; translation (appendix B, figure 19).

    >>> random_geometry(1, 0.0, (8, 8), torch.Generator()).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]]

    Args:
        count: number of maps.
        p: probability of each transform.
        size: height and width in pixels.
        rng: on the CPU.

    Returns:
        Homogeneous matrices, float64 (count, 3, 3), the transforms' inverses.
    """
    draw = _Draws(count, p, rng)
    height, width = size
    sides = torch.tensor([width, height], dtype=torch.float64)
    # A mirror image in half of the cases that are chosen, and the identity among the four quarter turns.
    mirror = draw.chosen(1 - 2 * (draw.uniform() < 0.5).double(), 1.0)
    turns = draw.chosen((4 * draw.uniform()).floor(), 0.0)
    shift = draw.chosen(((2 * draw.uniform(2) - 1) * INTEGER * sides).round(), 0.0)
    scale = draw.chosen(torch.exp2(SCALE * draw.normal()), 1.0)
    # Two rotations, of which at least one happens with probability p.
    each = 1 - math.sqrt(1 - min(p, 1.0))
    before = draw.chosen((2 * draw.uniform() - 1) * math.pi, 0.0, each)
    stretch = draw.chosen(torch.exp2(ANISOTROPY * draw.normal()), 1.0)
    after = draw.chosen((2 * draw.uniform() - 1) * math.pi, 0.0, each)
    moved = draw.chosen(FRACTION * sides * draw.normal(2), 0.0)
    # The inverse of T_n ... T_1 is T_1^-1 ... T_n^-1.
    inverses = [
        _linear(mirror, torch.ones_like(mirror)),
        _rotation(-turns * math.pi / 2),
        _translation(-shift),
        _linear(1 / scale, 1 / scale),
        _rotation(-before),
        _linear(1 / stretch, stretch),
        _rotation(-after),
        _translation(-moved),
    ]
    return functools.reduce(torch.matmul, inverses)


def random_colour(count: int, p: float, rng: torch.Generator) -> Tensor:
    """Return maps of RGB colours in [-1, 1].

    In this order, each with probability p: brightness + N(0, 0.2^2); contrast by 2^N(0, 0.5^2); luma flip, in half of
    the cases; hue rotation by U(-pi, pi) about the grey axis; saturation by 2^N(0, 1) (appendix B).

    >>> torch.equal(random_colour(1, 0.0, torch.Generator())[0], torch.eye(4, dtype=torch.float64))
    True

    Args:
        count: number of maps.
        p: probability of each transform.
        rng: on the CPU.

    Returns:
        Homogeneous matrices, float64 (count, 4, 4).
    """
    draw = _Draws(count, p, rng)
    brightness = draw.chosen(BRIGHTNESS * draw.normal(), 0.0)
    contrast = draw.chosen(torch.exp2(CONTRAST * draw.normal()), 1.0)
    flipped = draw.chosen((draw.uniform() < 0.5).double(), 0.0)
    angle = draw.chosen((2 * draw.uniform() - 1) * math.pi, 0.0)
    saturation = draw.chosen(torch.exp2(SATURATION * draw.normal()), 1.0)

    identity = torch.eye(3, dtype=torch.float64)
    grey = torch.full((3, 3), 1 / 3, dtype=torch.float64)  # v v^T of the unit vector v = (1, 1, 1) / sqrt(3)
    turn = torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], dtype=torch.float64) / math.sqrt(3)  # w -> v x w
    flipped, contrast, angle, saturation = (each[:, None, None] for each in (flipped, contrast, angle, saturation))
    luma_flip = identity - 2 * flipped * grey  # Householder
    hue = angle.cos() * identity + angle.sin() * turn + (1 - angle.cos()) * grey  # Rodrigues
    saturated = grey + saturation * (identity - grey)
    linear = saturated @ hue @ luma_flip * contrast
    colour = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    colour[:, :3, :3] = linear
    # Brightness comes first, so that all the others map it too.
    colour[:, :3, 3] = linear.sum(dim=2) * brightness[:, None]
    return colour


class _Draws:
    """Parameters of a batch's transforms, float64 (count,) or (count, 2)."""

    def __init__(self, count: int, p: float, rng: torch.Generator) -> None:
        self.count = count
        self.p = p
        self.rng = rng

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(self.count, *shape, generator=self.rng, dtype=torch.float64)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.count, *shape, generator=self.rng, dtype=torch.float64)

    def chosen(self, values: Tensor, neutral: float, p: float | None = None) -> Tensor:
        """Return each image's value with probability p, else the neutral one."""
        happens = self.uniform() < (self.p if p is None else p)
        return torch.where(happens if values.dim() == 1 else happens[:, None], values, neutral)


def _linear(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def _rotation(angle: Tensor) -> Tensor:
    matrix = torch.eye(3, dtype=angle.dtype).repeat(len(angle), 1, 1)
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
    matrix[:, 1, 0] = angle.sin()
    matrix[:, 0, 1] = -angle.sin()
    return matrix


def _translation(pixels: Tensor) -> Tensor:
    matrix = torch.eye(3, dtype=pixels.dtype).repeat(len(pixels), 1, 1)
    matrix[:, :2, 2] = pixels
    return matrix


def _resample(images: Tensor, to_source: Tensor) -> Tensor:
    """Return images read at the places that the maps give, bilinearly; beyond its edge an image goes on mirrored."""
    height, width = images.shape[2:]
    # affine_grid's coordinates are -1 at the first pixel's outer edge and 1 at the last one's.
    units = torch.diag(torch.tensor([2 / width, 2 / height, 1.0], dtype=to_source.dtype))
    theta = (units @ to_source @ units.inverse())[:, :2].to(images)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _recolour(images: Tensor, colour: Tensor) -> Tensor:
    colour = colour.to(images)
    if images.shape[1] == 1:
        # A grey value v is the colour (v, v, v), and the grey of the result is its mean.
        factor, shift = colour[:, :3, :3].sum(dim=(1, 2)) / 3, colour[:, :3, 3].mean(dim=1)
        return images * factor.view(-1, 1, 1, 1) + shift.view(-1, 1, 1, 1)
    rgb = torch.einsum("bij,bjhw->bihw", colour[:, :3, :3], images[:, :3]) + colour[:, :3, 3, None, None]
    # An alpha channel has no colour.
    return torch.cat([rgb, images[:, 3:]], dim=1) if images.shape[1] > 3 else rgb
