"""docs/export.md and docs/zoo.md: every command and every block of code runs, in their order; so does the example."""

import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_convnorm.cli import main
from gan_convnorm.data import Arrays

ROOT = Path(__file__).parents[2]
PARTS = re.compile(r"^```python\n(.*?)^```|^ {4}python train_gan\.py ([^\n]*)$", re.MULTILINE | re.DOTALL)
SMALL = ["--steps", "2", "--batch-size", "4", "--eval-every", "1", "--num-fake", "20", "--metrics", "fid"]


@pytest.fixture
def folder(working_folder, monkeypatch):
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
    shutil.copytree(
        ROOT / "checkpoints", "checkpoints", ignore=lambda _, names: [name for name in names if name == "runs"]
    )
    return working_folder


def run(page):
    """Run a page from top to bottom and return how many parts it has; a small run is each command that trains."""
    parts = PARTS.findall((ROOT / "docs" / page).read_text())
    for code, command in parts:
        words = shlex.split(command)
        if code:
            exec(compile(code, page, "exec"), {})
        else:
            main([*words, *SMALL] if words[0].startswith("-") else words)
    return len(parts)


class FakeApi:
    """An upload that is a copy in the working folder."""

    def __init__(self, **_):
        pass

    def create_repo(self, repo_id, **_):
        return type("Repository", (), {"repo_id": repo_id})

    def upload_folder(self, repo_id, folder_path, **_):
        shutil.copytree(folder_path, Path("hub") / repo_id)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
def test_the_page_about_export_runs(folder, monkeypatch):
    for package in ("huggingface_hub", "onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} of the extras hub and onnx is not installed")
    monkeypatch.setattr("huggingface_hub.HfApi", FakeApi)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **_: Path("hub") / name)
    main(["--disc-norm", "convnorm", *SMALL, "--width", "0.05"])
    assert run("export.md") == 8
    for name in ("my-digits", "my-digits-too", "hub/your-name/digits"):
        described = re.findall(r"^\| `([\w.]+)` \|", (ROOT / "docs/export.md").read_text(), re.MULTILINE)
        assert {path.name for path in Path(name).iterdir()} == set(described)
        assert "| FID | " in (Path(name) / "README.md").read_text()
    assert {path.name for path in Path("exported").iterdir()} == {
        f"generator.{kind}" for kind in ("safetensors", "json", "pt2", "onnx")
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
def test_the_page_about_the_zoo_runs(folder, capsys):
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16), dtype=np.uint8)
    np.savez("images.npz", images=images, labels=np.arange(40) % 2)
    assert run("zoo.md") == 2
    shown = re.search(r"^ {4}(initial weights .*)$", (ROOT / "docs/zoo.md").read_text(), re.MULTILINE)[1]
    assert shown in capsys.readouterr().out


def test_the_example_samples_the_zoo(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sample_in_plain_pytorch.py", "--out", "made.png"])
    runpy.run_path(str(ROOT / "examples/sample_in_plain_pytorch.py"), run_name="__main__")
    picture = np.asarray(Image.open("made.png"))
    assert picture.shape == (8 * 18 + 2, 8 * 18 + 2, 3) and picture.std() > 30
    assert "made.png" in capsys.readouterr().out


def test_the_images_of_the_page_about_fine_tuning_are_data(working_folder):
    page = (ROOT / "docs/results/fine_tuning.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    exec(compile(code, "fine_tuning.md", "exec"), {})
    data = Arrays("slanted.npz")
    assert (data.resolution, data.channels, data.num_classes) == (16, 1, 10)
