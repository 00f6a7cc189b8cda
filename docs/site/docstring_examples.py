"""Docstrings' `>>>` examples as blocks of code, which Markdown would take for quotations."""

from __future__ import annotations

import re

import griffe

EXAMPLE = re.compile(r"^( *)>>> .*(?:\n.+)*", re.MULTILINE)


class FencedExamples(griffe.Extension):
    """Fence the examples in every docstring."""

    def on_object(self, *, obj, **_):
        """Rewrite one object's docstring; the text of its sections stays."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(fenced, obj.docstring.value)


def fenced(match):
    """Return one example as a fenced block at the example's own indentation."""
    indent = match[1]
    return f"{indent}```pycon\n{match[0]}\n{indent}```"
