"""Plans: a network's channels and sides at a resolution, from its table or your own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gan_convnorm.errors import BadInput
from gan_convnorm.images.size import Size

__all__ = ["Plan", "check_sizes", "find_plan", "scale_channels"]

EXAMPLE = "{bottom: 6, generator: [512, 256, 128], discriminator: [[64, true], [128, true], [256, false]]}"


@dataclass(frozen=True)
class Plan:
    """A network's channels, at width 1, and sizes at one resolution.

    Attributes:
        bottom: size of the generator's first feature map in pixels: its side, or (height, width).
        generator: channels of the first feature map, then of every block's output; each block doubles both sides.
        discriminator: channels of every block's output, and whether it halves both sides; the first sees the image.

    >>> plan = Plan(bottom=4, generator=(256, 128, 64), discriminator=((64, True), (128, True), (256, False)))
    >>> plan.size, plan.halvings
    (Size(height=16, width=16), 2)
    """

    bottom: int | tuple[int, int]
    generator: tuple[int, ...]
    discriminator: tuple[tuple[int, bool], ...]

    @property
    def start(self) -> Size:
        """The size of the generator's first feature map."""
        return Size(self.bottom, self.bottom) if isinstance(self.bottom, int) else Size(*self.bottom)

    @property
    def doublings(self) -> int:
        """The number of the generator's blocks."""
        return len(self.generator) - 1

    @property
    def halvings(self) -> int:
        """The number of the discriminator's blocks that halve the sides."""
        return sum(halves for _, halves in self.discriminator)

    @property
    def size(self) -> Size:
        """The size of the images."""
        return Size(*(side * 2**self.doublings for side in self.start))


def find_plan(
    network: str, plans: dict[int, Plan], resolution: int | str, own: Plan | Mapping[str, Any] | None
) -> Plan:
    """Return the plan of a resolution, or the one that is given in its place.

    Images that are not square have the plan of their shorter side, which starts with a feature map of their shape.

    Args:
        network: the network's name, for messages.
        plans: the network's table, by the side of square images.
        resolution: side of the images in pixels, or "HEIGHTxWIDTH".
        own: a plan that replaces the table's, also as a mapping with the same three names (from YAML).

    Returns:
        A plan that makes images of this resolution.

    Raises:
        BadInput: no plan for this resolution; a plan of another form or for other images.

    >>> plans = {8: Plan(4, (16, 8), ((8, True),))}
    >>> find_plan("mine", plans, 8, None).bottom, find_plan("mine", plans, "8x12", None).bottom
    (4, (4, 6))
    """
    if own is None:
        return _from_table(network, plans, Size.of(resolution))
    plan = _as_plan(own)
    size = Size.of(resolution)
    if plan.size != size:
        bottom = plan.start.plain
        raise BadInput(
            f"the plan makes {plan.size} images (bottom {bottom}, doubled {plan.doublings} times) and {size} are "
            "asked for; change bottom or the number of the generator's channels"
        )
    if odd := [side for side in size if side % 2**plan.halvings]:
        raise BadInput(
            f"the plan's discriminator halves the sides {plan.halvings} times and {odd[0]} is not a multiple of "
            f"{2**plan.halvings}; set true to false for some of its blocks"
        )
    return plan


def _from_table(network: str, plans: dict[int, Plan], size: Size) -> Plan:
    """Return the plan of the shorter side, with a start of the images' shape."""
    shorter, longer = sorted(size)
    if shorter not in plans:
        asked = "choose a resolution of" if shorter == longer else "its shorter side must be one of"
        raise BadInput(
            f"{network} has no network for {size} images; {asked}: {', '.join(map(str, plans))}; or give a plan of "
            f"your own, such as {EXAMPLE} for 24x24"
        )
    plan = plans[shorter]
    if shorter == longer:
        return plan
    step = 2 ** max(plan.doublings, plan.halvings)
    if longer % step:
        below, above = longer // step * step, (longer // step + 1) * step
        raise BadInput(
            f"{network} has no network for {size} images; beside a side of {shorter} the other must be a multiple of "
            f"{step}, such as {below} or {above}; or give a plan of your own"
        )
    return replace(plan, bottom=(size.height // 2**plan.doublings, size.width // 2**plan.doublings))


def check_sizes(**sizes: int) -> None:
    """Raise unless every size of a network is 1 or more.

    Args:
        sizes: by name.

    Raises:
        BadInput: names the first that is not.

    >>> check_sizes(channels=3, latent_dim=0)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: latent_dim is 0, and must be 1 or more
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

    >>> scale_channels(256, 0.5), scale_channels(64, 0.001)
    (128, 1)
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
            and len(sides := _sides(bottom)) == 2
            and all(type(size) is int and size > 0 for size in (*sides, *generator, *(size for size, _ in blocks)))
        ):
            start = bottom if isinstance(bottom, int) else sides
            return Plan(start, tuple(generator), tuple((size, halves) for size, halves in blocks))
    raise BadInput(
        f"plan {own!r} does not describe a network; expected whole numbers above 0 as in {EXAMPLE}, with true for a "
        "block of the discriminator that halves the sides, and bottom [4, 6] for a start of height 4 and width 6"
    )


def _sides(bottom: Any) -> Any:  # noqa: ANN401 - not yet checked
    return tuple(bottom) if isinstance(bottom, (list, tuple)) else (bottom, bottom)
