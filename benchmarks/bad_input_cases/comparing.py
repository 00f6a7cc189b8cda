"""The comparison page: run folders with unexpected content, and the page's file."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from bad_input_cases.case import command, touch

__all__ = ["CASES"]

compare = partial(command, "compare")


def summary(**values: Any) -> Any:
    def prepare() -> None:
        path = Path("trained/summary.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return prepare


def written(name: str, text: str | bytes) -> Any:
    return lambda: touch(f"trained/{name}", text)


ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


SUMMARY = {
    "seconds": "long",
    "g_steps": "many",
    "g_steps is zero": 0,
    "protocol": 5,
    "protocol is a list": [1],
    "hyperparameters": [1],
    "best": "good",
    "last": None,
}

CASES = [
    compare("", "no run", "run"),
    compare("none", "run that is not there", "none"),
    compare("plan.yaml", "file in a run's place", "plan.yaml"),
    compare("flat", "folder of pictures", "flat.*metrics.csv"),
    compare(
        "classifier --out page.html", "run of a classifier", "classifier", expect="clear accepted", writes="page.html"
    ),
    compare("trained trained", "run given twice", "twice"),
    compare("trained trained/.", "run given twice by two names", "twice"),
    compare("trained --out none/page.html", "page into no folder", "none"),
    compare("trained --out flat", "page onto a folder", "flat"),
    compare("trained --out ''", "page of no name", "--out"),
    *(
        compare(
            f"trained --out {path}",
            f"page onto {what}",
            f"{path}.*--overwrite|--overwrite.*{path}",
            needs=needs,
            prepare=prepare,
            quick=what == "a checkpoint",
        )
        for path, what, needs, prepare in (
            ("trained/last.ckpt", "a checkpoint", "", None),
            ("trained/report.html", "the run's own report", "", None),
            ("plan.yaml", "a plan", "", None),
            ("page.html", "somebody's page", "", lambda: touch("page.html")),
        )
    ),
    compare(
        "trained --overwrite",
        "page that may be replaced",
        expect="accepted",
        writes="compare.html",
        prepare=lambda: touch("compare.html", "<html>"),
    ),
    *(
        compare(
            "trained",
            f"summary.json whose {key} is {value!r}",
            "summary.json",
            prepare=summary(**{key.split()[0]: value}),
            expect="clear accepted",
            writes="compare.html",
            quick=key == "protocol",
        )
        for key, value in SUMMARY.items()
    ),
    *(
        compare("trained", f"{name} of {what}", name, prepare=written(name, text), expect=expect, writes="compare.html")
        for name, text, what, expect in (
            ("summary.json", "text", "text", "clear"),
            ("summary.json", "[1]", "a list", "clear"),
            ("summary.json", bytes(range(256)), "random bytes", "clear"),
            ("summary.json", "[" * 100_000, "deep nesting", "clear"),
            ("metrics.csv", "text", "text", "clear"),
            ("metrics.csv", "", "nothing", "clear"),
            ("metrics.csv", "step,fid\n1,good\n", "words", "clear"),
            ("metrics.csv", "step,fid\none,2\n", "steps that are words", "clear"),
            ("metrics.csv", "step,fid\n1,2,3,4\n", "too many columns", "clear"),
            ("metrics.csv", bytes(range(256)), "random bytes", "clear"),
            ("metrics.csv", "step,fid,isc\n1,nan,inf\n", "NaN", "clear accepted"),
            ("metrics.csv", "step,fid\n", "its header alone", "clear accepted"),
            ("config.yaml", "- 1", "a list", "clear"),
            ("config.yaml", "model: [", "broken YAML", "clear"),
            ("config.yaml", ALIASES, "aliases that grow without end", "clear"),
            ("singular_values.json", "[1]", "a list", "clear"),
            ("singular_values.json", '{"layers": 5}', "layers that are a number", "clear"),
            ("singular_values.json", '{"layers": {"a": {"before": "x", "after": 1}}}', "layers of words", "clear"),
            ("samples/step-000009.png", "text", "text", "clear accepted"),
            ("samples/step-x.png", "text", "no step in its name", "clear accepted"),
        )
    ),
    compare(
        "trained",
        "metrics.csv that is a folder",
        "metrics.csv",
        prepare=lambda: (Path("trained/metrics.csv").unlink(), Path("trained/metrics.csv").mkdir()),
    ),
]
