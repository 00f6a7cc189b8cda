"""Colours of curves, and a figure as bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

__all__ = ["Colour", "colours", "encode", "hex_colours", "show_names"]

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
