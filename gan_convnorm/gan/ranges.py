"""Settings that must be names, or numbers within a range."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gan_convnorm.errors import BadInput

__all__ = ["Range", "check_names", "check_ranges"]

#: a test that a number must pass (NaN passes none), and the test in words
Range = tuple[Callable[[float], bool], str]


def check_ranges(settings: Mapping[str, object], ranges: Mapping[str, Range]) -> None:
    """Raise unless every number among the settings is within its range; None is omitted, and so allowed.

    Args:
        settings: values by name.
        ranges: the range of each name that has one.

    Raises:
        BadInput: names the first setting out of its range.

    >>> check_ranges({"width": 0}, {"width": (lambda x: x > 0, "above 0")})
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: width is 0, and must be above 0
    """
    for name, (contains, words) in ranges.items():
        value = settings[name]
        if value is not None and not contains(value):  # type: ignore[arg-type]
            raise BadInput(f"{name} is {value}, and must be {words}")


def check_names(settings: Mapping[str, object], names: Iterable[str]) -> None:
    """Raise unless the settings with these names are text.

    Args:
        settings: values by name.
        names: of the settings that must be text.

    Raises:
        BadInput: names the first setting that is no text.

    >>> check_names({"loss": 3}, ["loss"])
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: loss is 3; expected a name
    """
    for name in names:
        if not isinstance(settings[name], str):
            raise BadInput(f"{name} is {settings[name]!r:.40}; expected a name")
