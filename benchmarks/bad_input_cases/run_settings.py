"""The run settings in a checkpoint, changed by hand."""

from __future__ import annotations

from typing import Any

from bad_input_cases.case import command
from bad_input_cases.checkpoint_edits import edited
from bad_input_cases.checkpoints import RESUME, VALIDATE

__all__ = ["CASES"]


def settings(change: Any) -> Any:
    """Return a function that changes the run settings in a checkpoint."""
    return edited(lambda checkpoint: change(checkpoint["run"]))


SETTINGS: list[tuple[str, Any]] = [
    ("of another version", lambda run: run.update(version=99)),
    ("of a version that is true", lambda run: run.update(version=True)),
    ("of another program", lambda run: run.update(program="classifier")),
    ("of no program", lambda run: run.pop("program") and None),
    ("of a program that is a number", lambda run: run.update(program=5)),
    ("without a model", lambda run: run.pop("model") and None),
    ("whose model is a list", lambda run: run.update(model=[1])),
    ("whose model has an unknown argument", lambda run: run["model"].update(nonsense=1)),
    ("whose model has a number for a name", lambda run: run["model"].update({5: 1})),
    ("with an unknown key", lambda run: run.update(nonsense=1)),
    ("whose seed is a word", lambda run: run.update(seed="one")),
    ("whose seed is below zero", lambda run: run.update(seed=-1)),
    ("whose data are a number", lambda run: run.update(data=5)),
    ("whose data are a function", lambda run: run.update(data="os.getcwd")),
    ("whose data are the system's", lambda run: run.update(data="subprocess.Popen", data_arguments={"args": "true"})),
    ("whose data's arguments are a list", lambda run: run.update(data_arguments=[1])),
    ("whose data have an unknown argument", lambda run: run.update(data_arguments={"nonsense": 1})),
    ("whose trainer is a list", lambda run: run.update(trainer=[1])),
    ("whose trainer has an unknown setting", lambda run: run["trainer"].update(nonsense=1)),
    ("whose trainer names a folder", lambda run: run["trainer"].update(default_root_dir="elsewhere")),
    ("whose trainer has precision 7", lambda run: run["trainer"].update(precision="7")),
    ("whose trainer has devices of words", lambda run: run["trainer"].update(devices="many")),
    ("whose trainer has 100,000 devices", lambda run: run["trainer"].update(devices=100_000)),
    ("whose sections are a list", lambda run: run.update(sections=[1])),
    ("with an unknown section", lambda run: run["sections"].update(nonsense={})),
    ("whose scores are a number", lambda run: run["sections"].update(scores=5)),
    ("whose scores have an unknown argument", lambda run: run["sections"]["scores"].update(nonsense=1)),
    ("whose extractor is a path", lambda run: run["sections"]["scores"].update(extractor_weights="/etc/passwd")),
    ("whose options are a list", lambda run: run.update(options=[1])),
    ("with an unknown option", lambda run: run["options"].update(nonsense=1)),
    ("with a checkpoint in its options", lambda run: run["options"].update(ckpt_path="elsewhere.ckpt")),
    ("with an output folder in its options", lambda run: run["options"].update(out="elsewhere", resume="x")),
    ("whose omitted settings are a number", lambda run: run.update(omitted=5)),
]
PASSED_OVER_BY_ALL = ("in its options", "unknown section")
PASSED_OVER = ("100,000", "a folder", "in its options", "unknown section", "devices of words", "is a path")


def passed_over(reader: str) -> tuple[str, ...]:
    """Return the settings that a command does not read, and so may ignore."""
    return PASSED_OVER if reader == "validate" else PASSED_OVER_BY_ALL


CASES = [
    *(
        command(
            reader,
            words,
            f"run settings {what}",
            prepare=settings(change),
            # What a command does not read it may pass over.
            expect="clear accepted" if any(each in what for each in passed_over(reader)) else "clear",
            writes="again*",
            quick=what == "whose data are the system's",
        )
        for what, change in SETTINGS
        for reader, words in (("validate", VALIDATE), ("fit", RESUME))
        if reader == "validate" or "run" not in what
    ),
]
