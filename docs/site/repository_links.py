"""Links and pictures of pages, from places in the repository to places in the site."""

from __future__ import annotations

import posixpath
import re

from generated_pages import PROJECT, ROOT
from mkdocs.structure.files import File

#: file or folder of the repository -> page of the site, where it is not the file's place below docs/
PAGES = {source: page for page, source in PROJECT.items()} | {
    "README.md": "index.md",
    "checkpoints": "project/checkpoints.md",
    "docs/results": "results/README.md",
}
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:|#|/)([^)#\s]+)(#[^)\s]*)?\)")
PICTURE = re.compile(r"!\[([^\]]*)\]\((?!\w+:|#|/)([^)\s]+)\)")
#: where the site keeps pictures from outside docs/
PICTURES = "project/"
FENCED = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_files(files, config):
    """Add the pictures of the zoo, which lie outside docs/."""
    for path in sorted(ROOT.glob("checkpoints/*/*.png")):
        place = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, f"{PICTURES}{place}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Rewrite each link or picture that leads out of docs/; a link to a file without a page becomes plain text."""
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

    def moved(match):
        text, target = match.groups()
        place = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        uri = place.removeprefix("docs/") if place.startswith("docs/") else f"{PICTURES}{place}"
        return f"![{text}]({posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or '.')})"

    parts = FENCED.split(markdown)
    return "".join(
        part if number % 2 else PICTURE.sub(moved, LINK.sub(rewritten, part)) for number, part in enumerate(parts)
    )
