"""One bad input as a row: the input, what is wrong with it, and what the refusal must say."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gan_convnorm.cli import main

__all__ = ["VERBS", "Case", "NotThisVersion", "accepted", "call", "calls", "command", "touch"]

#: verbs of the program
VERBS = ("fit", "validate", "test", "predict", "score", "export", "compare", "study", "classify")
#: a run of a second, for words after it to spoil
SHORT = "--steps 2 --width 0.05 --batch-size 8 --num-fake 20 --eval-every 2"
SHORT_CLASSIFIER = (
    "--epochs 1 --width 0.5 --resolution 8 --batch-size 64 --num-images 12 --corruptions fog --attacks fgsm "
    "--trainer.enable_progress_bar false"
)


class NotThisVersion(Exception):  # noqa: N818 - no error
    """A case that this version does not have, such as a checkpoint without a key that it never had."""


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


def command(verb: str, words: str, what: str, says: str = "", **more: Any) -> Case:
    """Return the case of a command line.

    Args:
        verb: one of `VERBS`.
        words: the words after it, as a shell reads them. A new training run is made short.
        what: what is wrong with them.
        says: see `Case`.
        more: further fields of `Case`; those of several names are written as words.
    """
    split = shlex.split(words)
    short: list[str] = []
    if "--resume" not in words:
        if verb == "fit":
            short = shlex.split(SHORT)
        elif verb == "classify" and split[:1] == ["fit"]:
            short, split = ["fit", *shlex.split(SHORT_CLASSIFIER)], split[1:]
    line = [verb, *short, *split]
    return Case(what, verb, lambda: main(line), tuple(line), says, **_in_words(more))


def call(function: str, run: Callable[[], Any], what: str, says: str = "", **more: Any) -> Case:
    """Return the case of a call of a public function. An `AssertionError` in it means a wrong value."""
    return Case(what, function, run, (), says, **_in_words(more))


def calls(
    function: str, run: Callable[..., Any], rows: Iterable[tuple[dict[str, Any], str, str]], *quick: str
) -> list[Case]:
    """Return a case for each row: options that `run` is called with, what is wrong, what the line must say.

    Args:
        function: the public function's name.
        run: called with a row's options.
        rows: one for each case.
        quick: what is wrong in the rows that the tests run.
    """
    return [call(function, partial(run, **options), what, says, quick=what in quick) for options, what, says in rows]


def accepted(function: str, run: Callable[[], Any], what: str, **more: Any) -> Case:
    """Return the case of a call that must work."""
    return call(function, run, what, expect="accepted", **more)


def _in_words(more: dict[str, Any]) -> dict[str, Any]:
    several = {name: tuple(more[name].split()) for name in ("needs", "expect", "writes") if name in more}
    return more | several


def touch(path: str, content: bytes | str = b"precious") -> Path:
    """Write a small file, with its folder."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file
