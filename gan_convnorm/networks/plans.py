"""Plans: a network's channels and sides at a resolution, from its table or your own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gan_convnorm.errors import BadInput

__all__ = ["Plan", "check_sizes", "find_plan", "scale_channels"]

EXAMPLE = "{bottom: 6, generator: [512, 256, 128], discriminator: [[64, true], [128, true], [256, false]]}"


@dataclass(frozen=True)
class Plan:
    """A network's channels, at width 1, and sides at one resolution.

    Attributes:
        bottom: side of the generator's first feature map, in pixels.
        generator: channels of the first feature map, then of every block's output; each block doubles the side.
        discriminator: channels of every block's output, and whether it halves the side; the first sees the image.
    """

    bottom: int
    generator: tuple[int, ...]
    discriminator: tuple[tuple[int, bool], ...]


def find_plan(network: str, plans: dict[int, Plan], resolution: int, own: Plan | Mapping[str, Any] | None) -> Plan:
    """Return the plan of a resolution, or the one that is given in its place.

    Args:
        network: the network's name, for messages.
        plans: the network's table.
        resolution: side of the images in pixels.
        own: a plan that replaces the table's, also as a mapping with the same three names (from YAML).

    Returns:
        A plan that makes images of this resolution.

    Raises:
        BadInput: no plan for this resolution; a plan of another form or for other images.

    >>> find_plan("mine", {8: Plan(4, (16, 8), ((8, True),))}, 8, None).bottom
    4
    """
    if own is None:
        if resolution not in plans:
            choices = ", ".join(str(size) for size in plans)
            raise BadInput(
                f"{network} has no network for {resolution}x{resolution} images; choose a resolution of: {choices}; or "
                f"give a plan of your own, such as {EXAMPLE} for 24x24"
            )
        return plans[resolution]
    plan = _as_plan(own)
    doublings = len(plan.generator) - 1
    made = plan.bottom * 2**doublings
    if made != resolution:
        raise BadInput(
            f"the plan makes {made}x{made} images (bottom {plan.bottom}, doubled {doublings} times) and "
            f"{resolution}x{resolution} are asked for; change bottom or the number of the generator's channels"
        )
    halvings = sum(halves for _, halves in plan.discriminator)
    if resolution % 2**halvings:
        raise BadInput(
            f"the plan's discriminator halves the side {halvings} times and {resolution} is not a multiple of "
            f"{2**halvings}; set true to false for some of its blocks"
        )
    return plan


def check_sizes(**sizes: int) -> None:
    """Raise unless every size of a network is 1 or more.

    Args:
        sizes: by name.

    Raises:
        BadInput: names the first that is not.
    """
    for name, value in sizes.items():
        if value < 1:
            raise BadInput(f"{name} is {value}, and must be 1 or more")


def scale_channels(channels: int, width: float) -> int:
    """Return a number of channels at a width, at least 1.

    Args:
        channels: at width 1.
        width: factor on the channels.

    Returns:
        The nearest whole number.

    Raises:
        BadInput: a width of 0 or below.
    """
    if not 0 < width < math.inf:
        raise BadInput(f"width is {width:g}, and must be above 0 and finite (1 is the published network)")
    return max(1, round(channels * width))


def _as_plan(own: Plan | Mapping[str, Any]) -> Plan:
    match vars(own) if isinstance(own, Plan) else own:
        case {"bottom": bottom, "generator": [_, *_] as generator, "discriminator": [_, *_] as blocks, **rest} if (
            not rest
            and all(isinstance(block, (list, tuple)) and len(block) == 2 for block in blocks)
            and all(isinstance(halves, bool) for _, halves in blocks)
            and all(type(size) is int and size > 0 for size in (bottom, *generator, *(size for size, _ in blocks)))
        ):
            return Plan(bottom, tuple(generator), tuple((size, halves) for size, halves in blocks))
    raise BadInput(
        f"plan {own!r} does not describe a network; expected whole numbers above 0 as in {EXAMPLE}, with true for a "
        "block of the discriminator that halves the side"
    )
