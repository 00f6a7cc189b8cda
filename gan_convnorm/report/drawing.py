"""Colours of curves, logarithmic axes, names in legends, and a figure as bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

__all__ = ["Colour", "colours", "encode", "hex_colours", "log_axis", "show_names"]

#: red, green and blue, 0 to 1
Colour = tuple[float, float, float]


def colours(count: int, palette: str = "tab10") -> list[Colour]:
    """Return the first colours of a palette of matplotlib; after its last one they repeat.

    >>> len(colours(12)), colours(12)[10] == colours(1)[0]
    (12, True)
    """
    from matplotlib import colormaps

    found = colormaps[palette].colors  # type: ignore[attr-defined]
    return [found[i % len(found)] for i in range(count)]


def hex_colours(count: int) -> list[str]:
    """Return `colours` as HTML writes them.

    >>> hex_colours(2)
    ['#1f77b4', '#ff7f0e']
    """
    from matplotlib.colors import to_hex

    return [to_hex(colour) for colour in colours(count)]


def encode(figure: Figure, dpi: int) -> bytes:
    """Return a figure as PNG of `dpi` pixels an inch.

    >>> from matplotlib.figure import Figure
    >>> encode(Figure(figsize=(1, 1)), dpi=20)[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def show_names(legend: Legend) -> None:
    """Show a legend's names, which may come from a file, as they are: a "$" begins no formula.

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().add_subplot()
    >>> _ = axes.plot([0], [0], label="a name with $")
    >>> show_names(axes.legend())
    """
    for text in legend.get_texts():
        text.set_parse_math(False)


def log_axis(axis: Axis) -> None:
    """Make an axis logarithmic, with ticks that can be read also within a decade.

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().add_subplot()
    >>> _ = axes.plot([1, 2], [3, 4])
    >>> log_axis(axes.yaxis)
    >>> axes.get_yscale()
    'log'
    """
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

    axis.axes.set(**{f"{axis.axis_name}scale": "log"})  # type: ignore[attr-defined]
    low, high = axis.get_view_interval()
    # Where decades are skipped, the locator gives no ticks between them, and none at all.
    narrow = (1.0, 2.0, 3.0, 5.0, 7.0)  # two ticks alone would look like a linear axis
    subs = narrow if high < 10 * low else (1.0, 2.0, 5.0) if high < 1e4 * low else (1.0,)
    axis.set_major_locator(MaxNLocator(5) if high < 3 * low else LogLocator(subs=subs))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
