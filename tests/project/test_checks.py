"""The files that say how the project is checked and cited agree with what is there."""

import ast
import importlib.util
import re
import shlex
import shutil
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROOMS = sorted(path.name for path in (ROOT / "tests").iterdir() if list(path.glob("test_*.py")))


def read_yaml(path):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def marked(node, name):
    """Return whether a test's decorators, or an assignment to pytestmark, name a marker."""
    parts = node.decorator_list if isinstance(node, ast.FunctionDef) else [node.value]
    return any(f"pytest.mark.{name}" in ast.unparse(part) for part in parts)


def quick_tests(path):
    """Return the names of a file's quick tests, by the rule in conftest.py."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    marks = [node for node in body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"]
    tests = [node for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    if path.parent.name == "cli":
        return [test.name for test in tests if any(marked(node, "quick") for node in (test, *marks))]
    return [test.name for test in tests if not any(marked(node, "slow") for node in (test, *marks))]


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_quick_tests(room):
    assert any(quick_tests(path) for path in (ROOT / "tests" / room).glob("test_*.py"))


def test_a_slow_test_is_not_quick(request):
    """The rule of conftest.py, seen from inside."""
    assert request.node.get_closest_marker("quick") and not request.node.get_closest_marker("slow")


def test_no_two_files_share_a_name():
    """pytest, and the tests themselves, import each by its name alone."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_hooks_name_commands_that_exist():
    hooks = [hook for repo in read_yaml(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert all(repo["repo"] == "local" for repo in read_yaml(".pre-commit-config.yaml")["repos"])
    commands = [shlex.split(hook["entry"]) for hook in hooks]
    assert all(shutil.which(command[0]) for command in commands), commands
    assert ["python", "-m", "pytest", "-m", "quick"] in commands
    checked = (ROOT / ".ci/run").read_text(encoding="utf-8")
    for command in commands[:-1]:
        assert " ".join(command[:2]) in checked


def test_the_workflow_runs_the_check_command_on_supported_pythons():
    job = read_yaml(".github/workflows/ci.yml")["jobs"]["check"]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == ["bash .ci/run"] and (ROOT / ".ci/run").is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert min(job["strategy"]["matrix"]["python"]) == project["requires-python"].removeprefix(">=")


def test_contributing_names_commands_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for program in (
        "bash .ci/run",
        "python -m pytest -m quick",
        "ruff check . && ruff format . && mypy && lint-imports",
    ):
        assert program in text
    for module in re.findall(r"python -m (\w+)", text):
        assert importlib.util.find_spec(module), module


def test_the_citation_is_complete():
    citation = read_yaml("CITATION.cff")
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert citation["title"] and citation["message"] and citation["authors"]
    version = re.search(r'__version__ = "([^"]+)"', (ROOT / "gan_convnorm/__init__.py").read_text(encoding="utf-8"))
    assert citation["version"] == version[1]
    (paper,) = citation["references"]
    assert paper["title"].startswith("Convolutional Normalization: Improving Deep Convolutional Network Robustness")
    assert len(paper["authors"]) == 7 and paper["year"] == 2021
    assert {key for author in paper["authors"] for key in author} == {"family-names", "given-names"}
    assert set(paper["conference"]) == {"name"}
