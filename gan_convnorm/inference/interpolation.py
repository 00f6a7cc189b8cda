"""Interpolation between two images, through their latents."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.gan.sampling import Sampler
from gan_convnorm.random_streams import numbered_latents

__all__ = ["interpolate", "slerp"]


def slerp(start: Tensor, end: Tensor, shares: Tensor) -> Tensor:
    """Return spherical interpolations (Shoemake, SIGGRAPH 1985; for latents White 2016, arXiv:1609.04468, section 2.1).

    They are sin((1 - t) w) / sin(w) start + sin(t w) / sin(w) end with the angle w between start and end. Their length
    stays typical of latents; on a straight line it would not.

    Args:
        start: latents, shape (..., D).
        end: latents, the same shape.
        shares: t of each step, from 0 to 1, shape (T,).

    Returns:
        Latents of the same type, shape (T, ..., D).

    >>> slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([0.5]))
    tensor([[0.7071, 0.7071]])
    """
    a, b = start.double(), end.double()
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1, 1)
    angle = cosine.arccos().unsqueeze(-1)
    t = shares.double().view(-1, *[1] * start.dim())
    sine = angle.sin()
    # Between equal or opposite directions the arc is not defined: take the straight line.
    straight = sine < 1e-6
    sine = sine.where(~straight, 1)
    of_start = torch.where(straight, 1 - t, ((1 - t) * angle).sin() / sine)
    of_end = torch.where(straight, t, (t * angle).sin() / sine)
    return (of_start * a + of_end * b).to(start.dtype)


def interpolate(
    module: Sampler,
    pairs: int,
    steps: int,
    *,
    labels: Sequence[int] | Tensor | None = None,
    seed: int | None = None,
    ema: bool = True,
    truncation: float | None = None,
) -> Tensor:
    """Return images on the way from one latent to another.

    >>> from gan_convnorm.gan.loading import load
    >>> interpolate(load("checkpoints/digits_convnorm"), pairs=3, steps=5).shape
    torch.Size([3, 5, 1, 16, 16])

    Args:
        module: a trained generator.
        pairs: number of interpolations; number i goes from image 2 i of the seed to image 2 i + 1.
        steps: images in each, ends included.
        labels: classes that a conditional generator's interpolations take in turn; all when not given. Or one vector
            for all of them; those of training images in turn when not given.
        seed: of the latents; the run's when not given.
        ema: from the averaged weights, else from the current ones.
        truncation: see `Sampler.sample`.

    Returns:
        uint8, shape (pairs, steps, C, H, W).

    Raises:
        BadInput: less than one pair or two steps, or labels that are no classes of the generator.
    """
    if isinstance(labels, Sequence) and not isinstance(labels, Tensor):
        classes = module.num_classes or 0
        wrong = [label for label in labels if not 0 <= label < classes]
        if wrong or not labels:
            raise BadInput(f"labels are {list(labels)!r:.60}; expected classes from 0 to {classes - 1}")
    if pairs < 1 or steps < 2:
        raise BadInput(f"{pairs} interpolations of {steps} images are asked for; expected 1 or more of 2 or more")
    latents = numbered_latents(0, 2 * pairs, module.latent_dim, module.seed if seed is None else seed, truncation)
    between = slerp(latents[::2], latents[1::2], torch.linspace(0, 1, steps)).transpose(0, 1)
    if isinstance(labels, Tensor):
        of_ways: Tensor | None = labels.expand(pairs, -1)
    elif labels is None:
        of_ways = module.usual_labels(0, pairs)
    else:
        of_ways = torch.tensor(labels)[torch.arange(pairs) % len(labels)]
    of_images = None if of_ways is None else of_ways.repeat_interleave(steps, 0)
    images = module.decode(between.flatten(0, 1), of_images, ema=ema)
    return images.view(pairs, steps, *images.shape[1:])
