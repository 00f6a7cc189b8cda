"""Every command and every snippet of the README does what it says."""

import re
import shlex
from pathlib import Path

import pytest

from gan_convnorm.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [line.strip() for line in README.splitlines() if line.startswith("    python ")]
SMALL = [
    "--width",
    "0.05",
    "--batch-size",
    "4",
    "--model.optimization.gen_batch_size",
    "4",
    "--eval-every",
    "2",
    "--num-fake",
    "20",
]


def test_the_two_commands_stand_there():
    assert COMMANDS[0] == "python -m pip install -e . && python train_gan.py --disc-norm convnorm"
    assert COMMANDS[-1] == 'python -m pip install -e ".[test]" && python -m pytest'


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
def test_commands_run_in_their_order(working_folder, monkeypatch):
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
    for command in COMMANDS[:-1]:
        words = shlex.split(command.partition("&&")[2] or command)
        assert words[:2] == ["python", "train_gan.py"]
        # A run on a scale of seconds; a flag that is given twice counts as given last.
        main([*words[2:], *SMALL, "--steps", "2"] if words[2].startswith("-") else words[2:])
    assert {path.name for path in Path("checkpoints/runs").iterdir()} == {
        "digits-convnorm-seed0",
        "digits-spectral-seed0",
    }
    assert list(Path().rglob("report.html")) and list(Path().glob("*.html"))


@pytest.mark.parametrize("snippet", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_snippets_run(snippet, monkeypatch):
    monkeypatch.chdir(ROOT)
    exec(compile(snippet, "README.md", "exec"), {})


def test_files_named_are_there():
    for path in re.findall(r"\]\((?!https)([^)]+)\)", README):
        assert (ROOT / path).exists(), path


def test_it_stays_short():
    assert len(README.splitlines()) <= 90
