"""Studies: their plans, folders and databases."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bad_input_cases.case import command, touch
from bad_input_cases.comparing import ALIASES

__all__ = ["CASES"]

study = partial(command, "study")


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


def others_table_is_there() -> bool:
    import sqlite3

    with sqlite3.connect("out/study.db") as base:
        return base.execute("select * from mine").fetchall() == []


#: a report alone starts no run, and so need not know what a run takes, or how many there are
TO_REPORT = ("whose norm is unknown", "whose configuration has an unknown key", "with 20,000 seeds")
CASES = [
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
            expect="clear accepted" if what in TO_REPORT else "clear",
            writes="checkpoints*" if what in TO_REPORT else "",
            quick=what == "with no norms",
        )
        for changes, what in (
            ({"name": None}, "without a name"),
            ({"norms": None}, "without norms"),
            ({"grids": None}, "without grids"),
            ({"norms": {}}, "with no norms"),
            ({"grids": {}}, "with no grids"),
            ({"norms": [1]}, "whose norms are a list"),
            ({"name": "../up"}, "whose name is a path"),
            ({"name": ".."}, "whose name is two dots"),
            ({"name": 5}, "whose name is a number"),
            ({"nonsense": 1}, "with an unknown key"),
            ({"baseline": "nonsense"}, "with an unknown baseline"),
            ({"grids": {"main": {"seed": []}}}, "with no seeds"),
            ({"grids": {"main": {"seed": [1, 1]}}}, "with a seed twice"),
            ({"grids": {"main": {"seed": [-1]}}}, "with a negative seed"),
            ({"grids": {"main": {"seed": ["a"]}}}, "with seeds of words"),
            ({"grids": {"main": {"seed": [0], "norm": ["nonsense"]}}}, "with an unknown norm"),
            ({"grids": {"main": {"seed": [0], "n_dis": [0]}}}, "with n_dis 0"),
            ({"grids": {"main": {"seed": [0], "learning_rate": [-1.0]}}}, "with a learning rate below zero"),
            ({"grids": {"main": {"seed": [0], "learning_rate": [float("nan")]}}}, "with a learning rate NaN"),
            ({"norms": {"spectral": {"model": {"architecture": {"disc_norm": "nonsense"}}}}}, "whose norm is unknown"),
            ({"config": {"model": {"wdith": 1}}}, "whose configuration has an unknown key"),
            ({"config": 5}, "whose configuration is a number"),
            ({"grids": {"main": {"seed": list(range(20_000))}}}, "with 20,000 seeds"),
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
    study("plan.yaml --report --workers 0", "no workers", "--workers is 0"),
    study("plan.yaml --report --workers -1", "workers below zero", "--workers is -1"),
    study("plan.yaml --report --threads -1", "threads below zero", "--threads is -1"),
    study("plan.yaml --report --threads 0", "no threads", "--threads is 0"),
    study("plan.yaml --out flat", "folder of pictures", "flat.*study.db"),
    study("plan.yaml --out trained", "folder of a run", "trained.*study.db"),
    study("plan.yaml --out plan.yaml", "folder that is a file", "plan.yaml"),
    study(
        "plan.yaml --report --out out",
        "database of something else",
        "study.db",
        prepare=others_database,
        expect="clear accepted",
        writes="out/*",
        holds=others_table_is_there,
    ),
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
