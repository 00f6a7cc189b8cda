"""Bad input ends in one clear line, and leaves every file as it was: the quick part of benchmarks/bad_inputs.py."""

import json
import sys
from pathlib import Path

import pytest
from forked_program import ForkedProgram

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import bad_inputs
from bad_input_cases.all_cases import all_cases
from bad_input_cases.case import Case
from bad_input_cases.sandbox import Seen
from bad_input_cases.verdict import outcome

QUICK = {case.title: case for case in all_cases() if case.quick}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """All at once, since they share the good files that they spoil; as a program, since pytest holds warnings back."""
    found = tmp_path_factory.mktemp("bad_inputs") / "found.json"
    program = ForkedProgram(bad_inputs.main, ["--quick", "--limit", "90", "--json", str(found)])
    program.end(600)
    assert found.exists(), program.printed
    return {row["case"]: row for row in json.loads(found.read_text())}


@pytest.mark.parametrize("title", QUICK)
def test_bad_input_ends_as_it_must(title, results):
    if title not in results:
        pytest.skip("this version has no such input")
    row = results[title]
    assert row["good"], f"{row['outcome']}, expected {' or '.join(row['expected'])}: {row['why']}\n{row['printed']}"


def test_every_command_has_many_cases():
    cases = all_cases()
    assert len(cases) >= 200
    commands = [case.command for case in cases]
    for name in ("fit", "validate", "test", "predict", "score", "export", "compare", "study", "classify", "load"):
        assert commands.count(name) >= 5, name
    assert len(QUICK) >= 40


LINE = "error: steps is 0; expected 1 or more"


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({}, "clear"),
        ({"err": f"warning: 3 images are grey\n{LINE}\n"}, "clear"),
        ({"err": LINE.replace("steps is 0", "a number")}, "unclear"),
        ({"err": LINE + "x" * 300}, "unclear"),
        ({"err": f"usage: fit [--steps N]\n{LINE}"}, "unclear"),
        ({"err": LINE + " Given value: Namespace(a=1)"}, "unclear"),
        ({"out": "run checkpoints/runs/x"}, "unclear"),
        ({"status": 1}, "unclear"),
        ({"status": -11, "err": ""}, "unclear"),
        ({"status": 1, "err": "Traceback (most recent call last):\n  ...\nKeyError: 'a'"}, "traceback"),
        ({"status": 0, "err": ""}, "wrongly accepted"),
        ({"status": 70, "err": "wrong value: 3"}, "wrongly accepted"),
        ({"status": None}, "hang"),
        ({"changed": ["last.ckpt"]}, "damaged"),
        ({"made": ["checkpoints/runs/x"]}, "damaged"),
        ({"made": ["out/file"]}, "clear"),
        ({"code_ran": True}, "code ran"),
    ],
)
def test_outcomes(seen, expected):
    case = Case("no steps", "fit", lambda: None, says="steps is 0", writes=("out*",))
    found = {"status": 2, "out": "", "err": LINE, "changed": [], "made": [], "code_ran": False, "holds": True}
    assert outcome(case, Seen(**(found | {"seconds": 1.0} | seen)))[0] == expected
