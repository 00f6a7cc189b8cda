"""docs/data.md: its commands run, its table is the registry's."""

import inspect
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gan_convnorm
from gan_convnorm.cli import main
from gan_convnorm.data import DATA

DOCS = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
COMMANDS = re.findall(r"^    (?:PYTHONPATH=\. )?(python .*)$", DOCS, re.MULTILINE)
MODULE = re.search(r"```python\n# my_data\.py\n(.*?)```", DOCS, re.DOTALL)[1]
SMALL = ["--width", "0.05", "--steps", "2", "--eval-every", "2", "--num-fake", "20", "--batch-size", "8"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
def test_commands_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # PYTHONPATH=.
    (tmp_path / "my_data.py").write_text(MODULE)
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
    pixels = np.random.RandomState(0).randint(0, 256, (24, 32, 40, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        folder = Path("photos") / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}.jpg")
    lines = [f"{'ab'[number % 2]}/{number}.jpg,{number % 2},{number / 24}" for number in range(24)]
    Path("labels.csv").write_text("\n".join(["file,smiling,age", *lines]))
    np.savez("images.npz", x=pixels, y=np.arange(24) % 2)
    for command in COMMANDS:
        words = shlex.split(command)
        assert words[:2] == ["python", "train_gan.py"]
        small = SMALL + ["--resolution", "16"] * ("--resolution 32 " in command)
        main([*words[2:], *([] if words[2] == "predict" else small)])
    out = capsys.readouterr().out
    assert "22 photos train images" in out and "24 images train images" in out
    runs = {path.parent.name for path in Path("checkpoints/runs").glob("*/summary.json")}
    assert runs == {"photos-spectral-seed0", "images-spectral-seed0", "stripes-spectral-seed0"}
    assert gan_convnorm.load("vectors/last.ckpt").condition_size == 2 and Path("vectors/predict/grid.png").is_file()
    assert "32 x 48" in Path("wide/report.html").read_text()


def test_table_is_the_registry():
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| .*? \| (\d+|its own) \| .* \| .* \| (.*?) ?\|$", DOCS, re.MULTILINE)
    named = [name for names, *_ in rows for name in re.findall(r"\w+", names)]
    assert named == list(DATA)
    for names, resolution, own in rows:
        for name in re.findall(r"\w+", names):
            arguments = inspect.signature(DATA[name]).parameters
            default = arguments["resolution"].default
            assert default == (None if resolution == "its own" else int(resolution))
            assert set(arguments) - {"resolution", "batch_size", "seed"} == set(re.findall(r"`(\w+)`", own))
