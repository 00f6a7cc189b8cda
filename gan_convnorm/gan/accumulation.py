"""Parts of a batch: one for each discriminator step, and micro-batches whose gradients are summed in one step.

A sum over micro-batches is the large batch's gradient, to rounding, where each image's score depends on that image
alone. So each micro-batch replays the large batch's random numbers, and each starts from the same state of the norms
(a spectral norm's vectors), which a forward advances. BatchNorm is the exception: it takes each micro-batch's own
statistics.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_convnorm.errors import BadInput
from gan_convnorm.gan.buffers import named_places, put_buffer

__all__ = ["check_micro_batches", "micro_batches", "step_rows"]


def step_rows(images: int, steps: int) -> Iterator[slice]:
    """Yield one slice of a batch for each discriminator step; the first are longer by one where it does not divide.

    >>> list(step_rows(5, 2))
    [slice(0, 3, None), slice(3, 5, None)]

    Raises:
        BadInput: fewer images than steps.
    """
    if images < steps:
        raise BadInput(
            f"a batch has {images} images, fewer than the {steps} discriminator steps (n_dis) that share it; drop the "
            "data's last, smaller batch (drop_last)"
        )
    yield from _slices(images, steps)


def check_micro_batches(images: int, parts: int) -> None:
    """Raise unless every micro-batch of a step has an image.

    >>> check_micro_batches(8, 4)

    Raises:
        BadInput: fewer images than micro-batches.
    """
    if images < parts:
        raise BadInput(
            f"a step has {images} images, fewer than the {parts} micro-batches (accumulate) that share it; give "
            "a larger batch, or a smaller --accumulate"
        )


def micro_batches(images: int, parts: int, rng: torch.Generator, network: nn.Module) -> Iterator[slice]:
    """Yield one slice of a step's images for each micro-batch, and let each start as the first did.

    Before each but the first, the rng and the buffers of the network's norms are set back to what they were, except for
    BatchNorm's. So each draws the whole batch's random numbers again, to take its rows of them.

    >>> rng, network = torch.Generator().manual_seed(0), nn.Linear(1, 1)
    >>> [(rows, torch.rand(4, generator=rng)[rows].numel()) for rows in micro_batches(4, 2, rng, network)]
    [(slice(0, 2, None), 2), (slice(2, 4, None), 2)]

    Args:
        images: number of images in the step.
        parts: number of micro-batches.
        rng: on the CPU, source of all draws within one micro-batch.
        network: the one that the micro-batches go through.

    Raises:
        BadInput: fewer images than micro-batches.
    """
    check_micro_batches(images, parts)
    if parts == 1:
        yield slice(0, images)
        return
    state = rng.get_state()
    # By name: a norm may put another tensor in a buffer's place.
    buffers = [
        (module, name, buffer.clone())
        for module, name, buffer in named_places(network)
        if not isinstance(module, _BatchNorm)
    ]
    for number, rows in enumerate(_slices(images, parts)):
        if number:
            rng.set_state(state)
            for module, name, value in buffers:
                put_buffer(module, name, value)
        yield rows


def _slices(images: int, parts: int) -> Iterator[slice]:
    size, longer = divmod(images, parts)
    for part in range(parts):
        start = part * size + min(part, longer)
        yield slice(start, start + size + (part < longer))
