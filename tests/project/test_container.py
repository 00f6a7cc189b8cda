"""The Dockerfile: its commands are the README's, and it leaves out nothing that the package needs."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in README.splitlines() if line.startswith("    python ")]


def test_the_container_runs_the_main_job():
    (command,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert " ".join(json.loads(command)) == COMMANDS[0].partition(" && ")[2]


def test_the_container_is_installed_and_tested_as_the_readme_says():
    install, test = COMMANDS[-1].split(" && ")
    installed = DOCKERFILE.replace(" --no-cache-dir", "")
    assert f"\nRUN {install}\n" in installed
    assert re.search(rf"^#   docker run --rm gan_convnorm {re.escape(test)} ", DOCKERFILE, re.MULTILINE)


def test_versions_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (torch,) = (name for name in project["dependencies"] if name.startswith("torch>"))
    assert f'ARG TORCH="{torch} ' in DOCKERFILE
    python = re.search(r"^FROM python:(3\.\d+)-slim$", DOCKERFILE, re.MULTILINE)[1]
    assert python in (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")


def test_nothing_but_what_git_ignores_is_left_out():
    def entries(name):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        return {line.removeprefix("**/").strip("/") for line in lines if line and not line.startswith("#")}

    assert entries(".dockerignore") == entries(".gitignore") | {".git"}


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_hadolint_finds_nothing():
    done = subprocess.run(["hadolint", str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
