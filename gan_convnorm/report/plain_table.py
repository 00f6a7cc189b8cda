"""A table in plain text, for a terminal or a log."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["plain_table"]


def plain_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as lines with aligned columns, without padding at the ends of lines.

    >>> print(plain_table([["", "FID"], ["last", "4.00"]]))
          FID
    last  4.00
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
