"""The comparison page, exports and studies: what they read and where they write."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bad_input_cases.case import command, touch
from bad_input_cases.checkpoint_edits import bytes_changed, cut

__all__ = ["CASES"]

compare = partial(command, "compare")
export = partial(command, "export")
study = partial(command, "study")


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


def plan(**changes: Any) -> Any:
    def prepare() -> None:
        content = yaml.safe_load(Path("plan.yaml").read_text())
        for key, value in changes.items():
            if value is None:
                content.pop(key, None)
            else:
                content[key] = value
        Path("plan.yaml").write_text(yaml.safe_dump(content))

    return prepare


def others_database() -> None:
    import sqlite3

    Path("out").mkdir()
    with sqlite3.connect("out/study.db") as base:
        base.execute("create table mine (x)")


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
        for name, what, text, expect in (
            ("summary.json", "text", "text", "clear"),
            ("summary.json", "a list", "[1]", "clear"),
            ("summary.json", "random bytes", bytes(range(256)), "clear"),
            ("summary.json", "deep nesting", "[" * 100_000, "clear"),
            ("metrics.csv", "text", "text", "clear"),
            ("metrics.csv", "nothing", "", "clear"),
            ("metrics.csv", "words", "step,fid\n1,good\n", "clear"),
            ("metrics.csv", "steps that are words", "step,fid\none,2\n", "clear"),
            ("metrics.csv", "too many columns", "step,fid\n1,2,3,4\n", "clear"),
            ("metrics.csv", "random bytes", bytes(range(256)), "clear"),
            ("metrics.csv", "NaN", "step,fid,isc\n1,nan,inf\n", "clear accepted"),
            ("metrics.csv", "its header alone", "step,fid\n", "clear accepted"),
            ("config.yaml", "a list", "- 1", "clear"),
            ("config.yaml", "broken YAML", "model: [", "clear"),
            ("config.yaml", "aliases that grow without end", ALIASES, "clear"),
            ("spectrum.json", "a list", "[1]", "clear"),
            ("spectrum.json", "layers that are a number", '{"layers": 5}', "clear"),
            ("spectrum.json", "layers of words", '{"layers": {"a": {"before": "x", "after": 1}}}', "clear"),
            ("samples/step-000009.png", "text", "text", "clear accepted"),
            ("samples/step-x.png", "no step in its name", "text", "clear accepted"),
        )
    ),
    compare(
        "trained",
        "metrics.csv that is a folder",
        "metrics.csv",
        prepare=lambda: (Path("trained/metrics.csv").unlink(), Path("trained/metrics.csv").mkdir()),
    ),
    export("", "nothing to export", "checkpoint"),
    export("none.ckpt out", "checkpoint that is not there", "none.ckpt"),
    export("plan.yaml out", "checkpoint that is text", "plan.yaml"),
    export("classifier/last.ckpt out", "checkpoint of a classifier", "last.ckpt"),
    export("exported out", "export of an export", "exported"),
    export("trained out", "run folder", "trained"),
    export("trained/last.ckpt flat", "folder of pictures", "flat.*not empty", quick=True),
    export("trained/last.ckpt trained", "the run's own folder", "trained.*not empty"),
    export("trained/last.ckpt plan.yaml", "folder that is a file", "plan.yaml"),
    export("trained/last.ckpt ''", "folder of no name", "folder"),
    export("trained/last.ckpt out --nonsense", "unknown flag", "--nonsense"),
    export("trained/last.ckpt", "no folder", "folder"),
    *(
        command(
            "fidelity",
            "exported/generator.safetensors flat --num-fake 20 --extractor classifier --extractor-weights extractor.pt",
            f"export {what}",
            "generator|exported",
            prepare=prepare,
        )
        for what, prepare in (
            ("without its JSON", lambda: Path("exported/generator.json").unlink()),
            ("with JSON of text", lambda: touch("exported/generator.json", "text")),
            ("with JSON of a list", lambda: touch("exported/generator.json", "[1]")),
            ("with empty JSON", lambda: touch("exported/generator.json", "{}")),
            ("with cut weights", cut("exported/generator.safetensors")),
            ("with damaged weights", bytes_changed("exported/generator.safetensors", 0.01)),
            ("with weights of text", lambda: touch("exported/generator.safetensors", "text")),
        )
    ),
    study("", "no plan", "study"),
    study("none.yaml", "plan that is not there", "none.yaml"),
    study("flat", "plan that is a folder", "flat"),
    study("flat/00.png", "plan that is a picture", "00.png"),
    *(
        study(
            "plan.yaml --report",
            f"plan {what}",
            "plan.yaml",
            prepare=plan(**changes),
            quick=what == "with 20,000 seeds",
        )
        for what, changes in (
            ("without a name", {"name": None}),
            ("without norms", {"norms": None}),
            ("without grids", {"grids": None}),
            ("with no norms", {"norms": {}}),
            ("with no grids", {"grids": {}}),
            ("whose norms are a list", {"norms": [1]}),
            ("whose name is a path", {"name": "../up"}),
            ("whose name is two dots", {"name": ".."}),
            ("whose name is a number", {"name": 5}),
            ("with an unknown key", {"nonsense": 1}),
            ("with an unknown baseline", {"baseline": "nonsense"}),
            ("with no seeds", {"grids": {"main": {"seed": []}}}),
            ("with a seed twice", {"grids": {"main": {"seed": [1, 1]}}}),
            ("with a negative seed", {"grids": {"main": {"seed": [-1]}}}),
            ("with seeds of words", {"grids": {"main": {"seed": ["a"]}}}),
            ("with an unknown norm", {"grids": {"main": {"seed": [0], "norm": ["nonsense"]}}}),
            ("with n_dis 0", {"grids": {"main": {"seed": [0], "n_dis": [0]}}}),
            ("with a learning rate below zero", {"grids": {"main": {"seed": [0], "learning_rate": [-1.0]}}}),
            ("with a learning rate NaN", {"grids": {"main": {"seed": [0], "learning_rate": [float("nan")]}}}),
            ("whose norm is unknown", {"norms": {"spectral": {"model": {"disc_norm": "nonsense"}}}}),
            ("whose configuration has an unknown key", {"config": {"model": {"wdith": 1}}}),
            ("whose configuration is a number", {"config": 5}),
            ("with 20,000 seeds", {"grids": {"main": {"seed": list(range(20_000))}}}),
        )
    ),
    study("plan.yaml --report", "plan that is text", "plan.yaml", prepare=lambda: touch("plan.yaml", "text")),
    study("plan.yaml --report", "empty plan", "plan.yaml", prepare=lambda: touch("plan.yaml", "")),
    study("plan.yaml --report", "plan of broken YAML", "plan.yaml", prepare=lambda: touch("plan.yaml", "norms: [")),
    study(
        "plan.yaml --report", "plan of random bytes", "plan.yaml", prepare=lambda: touch("plan.yaml", bytes(range(256)))
    ),
    study(
        "plan.yaml --report",
        "plan whose aliases grow without end",
        "plan.yaml",
        prepare=lambda: touch("plan.yaml", ALIASES),
    ),
    study(
        "plan.yaml --report",
        "plan with a key twice",
        "plan.yaml.*name",
        prepare=lambda: Path("plan.yaml").write_text("name: other\n" + Path("plan.yaml").read_text()),
    ),
    study("plan.yaml --workers 0", "no workers", "--workers is 0"),
    study("plan.yaml --workers -1", "workers below zero", "--workers is -1"),
    study("plan.yaml --threads -1", "threads below zero", "--threads is -1"),
    study("plan.yaml --threads 0", "no threads", "--threads is 0"),
    study("plan.yaml --out flat", "folder of pictures", "flat.*study.db"),
    study("plan.yaml --out trained", "folder of a run", "trained.*study.db"),
    study("plan.yaml --out plan.yaml", "folder that is a file", "plan.yaml"),
    study("plan.yaml --report --out out", "database of something else", "study.db", prepare=others_database),
    study(
        "plan.yaml --report --out out", "database of text", "study.db", prepare=lambda: touch("out/study.db", "text")
    ),
    study("plan.yaml --report --storage nonsense", "storage that is no address", "--storage.*nonsense|nonsense"),
    *(
        study(
            f"plan.yaml --report --storage {scheme}://me:hunter2@127.0.0.1:1/base",
            f"storage on {scheme} with a password",
            "--storage|storage",
            hides="hunter2",
            expect="clear",
            quick=scheme == "mysql",
        )
        for scheme in ("postgresql", "mysql", "nonsense", "redis")
    ),
    study(
        "plan.yaml --report --storage sqlite:////proc/none/study.db", "storage that cannot be written", "storage|cannot"
    ),
    study(
        "plan.yaml --report",
        "study that was never run",
        expect="accepted",
        prints="0 of 4",
        writes="checkpoints*",
        prepare=lambda: shutil.rmtree("none", ignore_errors=True),
    ),
]
