"""An HTML page of blocks that needs no other file, through the one template of all pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.report.blocks import Block

__all__ = ["generator_tag", "render_page", "write_page"]

# Every value is escaped, whatever the template's name: jinja2's own default escapes nothing.
_ENVIRONMENT = Environment(
    loader=PackageLoader("gan_convnorm.report", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_page(title: str, blocks: Sequence[Block], generator: str) -> str:
    """Return a page as HTML.

    Args:
        title: of the page.
        blocks: from top to bottom.
        generator: name of what made the page, which marks it (`generator_tag`).

    >>> from gan_convnorm.report.blocks import Paragraph
    >>> page = render_page("a & b", [Paragraph("1 < 2")], "an example")
    >>> "<title>a &amp; b</title>" in page, "<p>1 &lt; 2</p>" in page
    (True, True)
    """
    return _ENVIRONMENT.get_template("page.html.j2").render(title=title, blocks=blocks, generator=generator)


def generator_tag(generator: str) -> str:
    """Return the element near the start of a page that names what made it.

    >>> generator_tag("an example") in render_page("title", [], "an example")[:1000]
    True
    """
    return f'<meta name="generator" content="{generator}">'


def write_page(path: Path, title: str, blocks: Sequence[Block], generator: str) -> None:
    """Write `render_page` to a file, whole or not at all: an OSError leaves what was there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_page(Path(folder) / "page.html", "a title", [], "an example")
    ...     "<title>a title</title>" in (Path(folder) / "page.html").read_text()
    True
    """
    with atomic_write(path) as part:
        # A name may hold half a character, which UTF-8 cannot write.
        part.write_text(render_page(title, blocks, generator), encoding="utf-8", errors="backslashreplace")
