"""Functions that run the program and return its error line, metrics or weights, or alter its checkpoints."""

import csv

import pytest
import torch

from gan_convnorm.cli import main

#: flags of a quick run of two steps
TWO_STEPS = ["--steps", "2", "--width", "0.05", "--batch-size", "8", "--num-fake", "20", "--eval-every", "2"]


def refused(capsys, *words, program=main):
    """Run the program, check that it ends with status 2 and one error line, and return that line."""
    with pytest.raises(SystemExit) as stop:
        program(list(words))
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1, captured.err
    assert "Traceback" not in captured.err + captured.out
    return captured.err


def changed(source, change, path="changed.ckpt"):
    """Write a checkpoint after `change` altered it in place; return the path."""
    checkpoint = torch.load(source, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, path)
    return path


def rows(run):
    """Return the rows of metrics.csv."""
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)
