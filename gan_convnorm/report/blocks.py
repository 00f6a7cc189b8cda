"""The parts of which pages are made, as plain values."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

__all__ = ["Block", "Cell", "Code", "Heading", "Legend", "Paragraph", "Picture", "Sample", "Samples", "Table"]


@dataclass(frozen=True)
class Heading:
    """A heading, of level 1 (the page's own) to 3.

    >>> Heading("Scores").level
    2
    """

    kind: ClassVar[str] = "heading"
    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text, or a small grey note; `name` is its id.

    >>> Paragraph("No run has been scored.", note=True).name
    ''
    """

    kind: ClassVar[str] = "paragraph"
    text: str
    note: bool = False
    name: str = ""


@dataclass(frozen=True)
class Cell:
    """A table's cell with a key of a colour such as "#1f77b4" before its text.

    >>> Cell("spectral", "#1f77b4").text
    'spectral'
    """

    text: str
    colour: str


@dataclass(frozen=True)
class Legend:
    """A figure's legend: names after keys of their colours.

    >>> len(Legend([Cell("spectral", "#1f77b4"), Cell("none", "#ff7f0e")]).cells)
    2
    """

    kind: ClassVar[str] = "keys"
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Table:
    """A table; on a phone one of five columns or more is shown as a list, a row a paragraph.

    Attributes:
        head: the first row.
        rows: the others.
        first_number: index of the first column of numbers; all after it are numbers too. None: no column is.
        name: id of the table.

    >>> table = Table(["norm", "FID"], [["none", "2.1"], ["spectral", "2.8"]], first_number=1)
    >>> len(table.rows)
    2
    """

    kind: ClassVar[str] = "table"
    head: Sequence[str | Cell]
    rows: Sequence[Sequence[str | Cell]]
    first_number: int | None = None
    name: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure as wide as the page.

    Attributes:
        data: PNG, or GIF where it moves.
        title: the text for those who cannot see it.
        caption: text above it.
        file: its name beside a page that is not HTML.
        narrow: the same figure for a phone, PNG, with one panel below the other.
    """

    kind: ClassVar[str] = "picture"
    data: bytes = field(repr=False)
    title: str
    caption: str = ""
    file: str = ""
    narrow: bytes = field(default=b"", repr=False)

    @property
    def address(self) -> str:
        """The picture itself as an address.

        >>> Picture(b"...", "nothing").address
        'data:image/png;base64,Li4u'
        """
        return _address(self.data)

    @property
    def narrow_address(self) -> str:
        """The figure for a phone as an address; empty where there is none."""
        return _address(self.narrow) if self.narrow else ""


def _address(data: bytes) -> str:
    kind = "gif" if data.startswith(b"GIF8") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@dataclass(frozen=True)
class Sample(Picture):
    """A grid of samples, its caption below it, after a key where it has a colour.

    >>> Sample(b"...", "samples", "G step 500", colour="#1f77b4").caption
    'G step 500'
    """

    colour: str = ""


@dataclass(frozen=True)
class Samples:
    """Grids of samples beside one another; a click enlarges one.

    >>> Samples([Sample(b"...", "samples")]).kind
    'samples'
    """

    kind: ClassVar[str] = "samples"
    pictures: Sequence[Sample]


@dataclass(frozen=True)
class Code:
    """Text in a fixed width, with `name` as its id; folded below `summary` where there is one.

    >>> Code("width: 0.5", summary="All settings").kind
    'code'
    """

    kind: ClassVar[str] = "code"
    text: str
    name: str = ""
    summary: str = ""


Block = Heading | Legend | Paragraph | Table | Picture | Samples | Code
