"""The blocks of a page as Markdown, with its pictures in files beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gan_convnorm.report.blocks import Block, Heading, Paragraph, Picture, Table

__all__ = ["link_target", "render_markdown"]


def render_markdown(title: str, blocks: Sequence[Block]) -> str:
    """Return headings, paragraphs, tables and links to pictures as Markdown; other blocks are omitted.

    Args:
        title: of the page.
        blocks: from top to bottom; a picture is linked by its `file`.

    >>> print(render_markdown("Runs", [Table(["norm", "FID"], [["none", "2.1"]])]))
    # Runs
    <BLANKLINE>
    | norm | FID |
    | --- | --- |
    | none | 2.1 |
    <BLANKLINE>
    """
    return "\n\n".join([f"# {title}", *filter(None, map(_part, blocks))]) + "\n"


def _part(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {_plain(block.text)}"
    if isinstance(block, Table):
        lines = [block.head, ["---"] * len(block.head), *block.rows]
        return "\n".join(
            "| " + " | ".join(_plain(str(cell)).replace("|", "\\|") for cell in line) + " |" for line in lines
        )
    if isinstance(block, Picture):
        return f"{_plain(block.caption)}\n\n![{_plain(block.title)}]({link_target(block.file)})"
    return _plain(block.text) if isinstance(block, Paragraph) else ""


def link_target(file: str) -> str:
    """Return a file's name as a link's target: in angle brackets where it has spaces or parentheses.

    >>> link_target("steps.png"), link_target("my grid_steps.png")
    ('steps.png', '<my grid_steps.png>')
    """
    return f"<{file}>" if re.search(r"[\s()]", file) else file


def _plain(text: str) -> str:
    """Return a text, which may hold names from a file, without HTML elements."""
    return re.sub(r"<(?=[a-zA-Z/!?])", "&lt;", text)
