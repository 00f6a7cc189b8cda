"""The program leaves the process that calls it as it was."""

import gc
import logging
import os
import signal
import sys
import warnings

import pytest
import torch

from gan_convnorm.cli import main
from gan_convnorm.cli.process_state import importing_libraries

SMALL = ["--steps", "1", "--width", "0.05", "--batch-size", "8", "--num-fake", "20"]


def state():
    names = [None, *logging.root.manager.loggerDict]
    return {
        "environment": dict(os.environ),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "filters": list(warnings.filters),
        "warnings": (warnings.showwarning, warnings.formatwarning),
        "loggers": {name: (logging.getLogger(name).level, list(logging.getLogger(name).handlers)) for name in names},
        "streams": (sys.stdout, sys.stderr, sys.stdout.errors, sys.stderr.errors),
        "threads": torch.get_num_threads(),
        "collector": (gc.isenabled(), gc.get_freeze_count()),
    }


def changed(before):
    """The parts that differ; loggers of modules that were imported meanwhile are new, and no difference."""
    now = state()
    now["loggers"] = {name: now["loggers"][name] for name in before["loggers"]}
    return {name: (value, now[name]) for name, value in before.items() if value != now[name]}


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["fit", *SMALL, "--threads", "1", "--out", "run"], 0),
        (["fit", *SMALL, "--threads", "1", "--disc-norm", "nope"], 2),
        (["classify", "--width", "nope"], 2),
        (["score", "none", "none"], 2),
        (["compare", "none"], 2),
        (["study", "none.yaml"], 2),
    ],
)
def test_a_call_changes_nothing_that_lasts(words, status, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("pytorch_lightning")
    level, threads = logger.level, torch.get_num_threads()
    try:
        logger.setLevel(logging.DEBUG)
        torch.set_num_threads(2)
        before = state()
        for _ in range(1 if status == 0 else 2):
            with pytest.raises(SystemExit, match=str(status)) if status else warnings.catch_warnings():
                main(words)
        assert changed(before) == {}
    finally:
        logger.setLevel(level)
        torch.set_num_threads(threads)


def test_a_program_never_searches_its_libraries_for_garbage(monkeypatch):
    before = gc.get_freeze_count()
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "gan_convnorm"])
    try:
        with importing_libraries():
            assert not gc.isenabled()
        assert gc.isenabled() and gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
