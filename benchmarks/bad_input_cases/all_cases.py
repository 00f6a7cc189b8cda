"""All cases, in the order in which they run."""

from __future__ import annotations

import importlib
from collections import Counter

from bad_input_cases.case import Case

__all__ = ["all_cases"]

ROOMS = (
    "code_in_checkpoints",
    "code_in_files",
    "checkpoints",
    "run_settings",
    "reading_runs",
    "resuming",
    "configs",
    "training_flags",
    "data_folders",
    "data_arrays",
    "surroundings",
    "scores",
    "score_folders",
    "caches",
    "comparing",
    "exporting",
    "studies",
    "classifiers",
    "attacks",
    "layers",
    "conversion",
    "networks_and_gan",
    "operators",
)


def all_cases() -> list[Case]:
    """Return every case; two with one title are a mistake.

    Raises:
        ValueError: two cases have the same title.
    """
    cases = [case for room in ROOMS for case in importlib.import_module(f"bad_input_cases.{room}").CASES]
    twice = [title for title, count in Counter(case.title for case in cases).items() if count > 1]
    if twice:
        raise ValueError(f"several cases are called: {twice}")
    return cases
