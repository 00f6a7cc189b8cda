"""Links of pages, from places in the repository to places in the site."""

from __future__ import annotations

import posixpath
import re

from generated_pages import PROJECT

#: file or folder of the repository -> page of the site, where it is not the file's place below docs/
PAGES = {source: page for page, source in PROJECT.items()} | {
    "README.md": "index.md",
    "checkpoints": "project/checkpoints.md",
    "docs/results": "results/README.md",
}
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:|#|/)([^)#\s]+)(#[^)\s]*)?\)")
FENCED = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown, page, config, files):
    """Rewrite each link that leads out of docs/: to the file's page in the site, or to plain text where it has none."""
    here = PROJECT.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def rewritten(match):
        text, target, anchor = match.groups()
        place = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        if place in PAGES:
            uri = PAGES[place]
        elif place.startswith("docs/"):
            uri = place.removeprefix("docs/")
        else:
            return text if text.startswith("`") else f"{text} (`{place}`)"
        return f"[{text}]({posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or '.')}{anchor or ''})"

    parts = FENCED.split(markdown)
    return "".join(part if number % 2 else LINK.sub(rewritten, part) for number, part in enumerate(parts))
