"""One bad input as a row: what is run, on which files, and what must come of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gan_convnorm.cli import main

__all__ = ["VERBS", "Case", "NotThisVersion", "call", "command"]

#: verbs of the program
VERBS = ("fit", "validate", "test", "predict", "score", "export", "compare", "study", "classify")
#: a run of a second, for words after it to spoil
SHORT = "--steps 2 --width 0.05 --batch-size 8 --num-fake 20 --eval-every 2"
SHORT_CLASSIFIER = (
    "--epochs 1 --width 0.5 --resolution 8 --batch-size 64 --num-images 12 --corruptions fog --attacks fgsm "
    "--trainer.enable_progress_bar false"
)


class NotThisVersion(Exception):  # noqa: N818 - no error
    """The case does not exist here, such as a checkpoint without a key that it does not have."""


@dataclass(frozen=True)
class Case:
    """One input.

    Args:
        name: what is wrong, unique together with the command.
        command: a key of `VERBS`, or the public function that is called.
        run: called in the case's own folder and process.
        words: the command line, empty for a function.
        says: regular expression that the line of a refusal must contain.
        needs: names of the assets that are copied into the case's folder, with those that the words name.
        prepare: called in the case's folder before the files are compared.
        status: exit status of a refusal.
        expect: outcomes that are right; of `verdict.OUTCOMES`.
        prints: regular expression that must be in what an accepted input prints.
        holds: looked at after an accepted input, in the case's folder; true when all is right.
        hides: regular expression that must not be printed, such as a password.
        writes: patterns of files that may be made or changed.
        env: environment variables of the case.
        process: run it as a program of its own, because of its environment.
        trusted: the canary's code may run, since the command line names it.
        quick: part of the tests.
    """

    name: str
    command: str
    run: Callable[[], Any]
    words: tuple[str, ...] = ()
    says: str = ""
    needs: tuple[str, ...] = ()
    prepare: Callable[[], Any] | None = None
    status: int = 2
    expect: tuple[str, ...] = ("clear",)
    prints: str = ""
    holds: Callable[[], bool] | None = None
    hides: str = ""
    writes: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    process: bool = False
    trusted: bool = False
    quick: bool = False

    @property
    def title(self) -> str:
        return f"{self.command}: {self.name}"


def command(name: str, text: str, what: str, says: str = "", **more: Any) -> Case:
    """Return the case of a command line.

    Args:
        name: key of `VERBS`; the first word of the training commands.
        text: the words after it, as a shell reads them. A `fit` is made short unless it resumes.
        what: what is wrong.
        says: see `Case`.
        more: further fields of `Case`.
    """
    words = shlex.split(text)
    if name in ("fit", "validate", "test", "predict"):
        short = shlex.split(SHORT) if name == "fit" and "--resume" not in text else []
        words = [name, *short, *words]
    elif name == "classify" and words[:1] == ["fit"] and "--resume" not in text:
        words = [name, "fit", *shlex.split(SHORT_CLASSIFIER), *words[1:]]
    else:
        words = [name, *words]
    more["needs"] = tuple(more.get("needs", "").split())
    for key in ("expect", "writes"):
        if isinstance(more.get(key), str):
            more[key] = tuple(more[key].split())
    return Case(what, name, lambda: main(words), tuple(words), says, **more)


def call(function: str, what: str, run: Callable[[], Any], says: str = "", **more: Any) -> Case:
    """Return the case of a call of a public function; `expect="accepted"` for one that must work.

    An `AssertionError` in it is a wrong value.
    """
    more["needs"] = tuple(more.get("needs", "").split())
    for key in ("expect", "writes"):
        if isinstance(more.get(key), str):
            more[key] = tuple(more[key].split())
    return Case(what, function, run, (), says, **more)


def touch(path: str, content: bytes | str = b"precious") -> Path:
    """Write a small file, with its folder."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file
