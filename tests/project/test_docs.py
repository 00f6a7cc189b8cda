"""The tutorials: every command and every block of code runs, in their order, at a tiny scale."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_convnorm.cli import main
from gan_convnorm.cli.export import main as export

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "docs").glob("tutorial_*.md"))
SMALL = [
    "--width",
    "0.05",
    "--batch-size",
    "8",
    "--model.optimization.gen_batch_size",
    "8",
    "--model.optimization.n_dis",
    "1",
]
SMALL += ["--eval-every", "2", "--num-fake", "20", "--scores.isc_splits", "10", "--scores.weights", "ema"]
SMALL += ["--protocol", "quick"]
#: a fenced block, or an indented command; both are run where they stand
PARTS = re.compile(r"^```(\w+)\n(.*?)^```|^ {4,}((?:PYTHONPATH=\. )?python [^\n]*)$", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # PYTHONPATH=.
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def photos():
    pixels = np.random.RandomState(0).randint(0, 256, (60, 40, 48, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        place = Path("photos") / ("cats", "dogs")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number}.jpg")


def run_command(words, steps):
    if words[:3] == ["python", "train_gan.py", "export"]:
        export(words[3:])
        return steps
    assert words[:2] == ["python", "train_gan.py"]
    words = words[2:]
    if not words[0].startswith("-"):
        main(words)
        return steps
    steps += 2
    # What is given twice counts as given last.
    main([*words, *([] if "--resume" in words else SMALL), "--steps", str(steps)])
    return steps


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs_from_top_to_bottom(path, capsys):
    photos()
    steps, ran = 0, []
    for kind, text, command in PARTS.findall(path.read_text()):
        named = re.match(r"# ([\w.]+\.(?:py|yaml))\n", text)
        if command:
            steps = run_command(shlex.split(command.removeprefix("PYTHONPATH=. ")), steps)
        elif named:
            Path(named[1]).write_text(text)
        else:
            assert kind == "python", text
            exec(compile(text, str(path), "exec"), {})
        ran.append(command or named or text)
    assert len(ran) >= 4
    out = capsys.readouterr().out
    if path.stem == "tutorial_own_images":
        assert "54 photos train images" in out  # a tenth is held out
        for name in re.findall(r"^\| `([\w./]+)`(?:, `([\w./]+)`)*", path.read_text(), re.MULTILINE):
            assert all((Path("made") / file).exists() for file in name if file), name
        assert Path("first/report.html").exists() and Path("exported/generator.pt2").exists()
    elif path.stem == "tutorial_new_network":
        assert {p.parent.name for p in Path().glob("*/summary.json")} == {"small", "plain"}
    else:
        assert {p.parent.name for p in Path().glob("*/summary.json")} == {"standardized", "options"}


def test_every_tutorial_is_linked_and_its_links_lead_somewhere():
    readme = (ROOT / "README.md").read_text()
    assert len(TUTORIALS) == 3
    for path in TUTORIALS:
        assert f"docs/{path.name}" in readme
        for link in re.findall(r"\]\((?!https)([^)#]+)\)", path.read_text()):
            assert (path.parent / link).exists(), link


@pytest.mark.slow
def test_the_wandb_configuration_is_one(capsys):
    text = next(t for _, t, _ in PARTS.findall((ROOT / "docs/tutorial_own_images.md").read_text()) if "wandb.yaml" in t)
    Path("wandb.yaml").write_text(text)
    with pytest.raises(SystemExit) as stop:
        main(["--config", "wandb.yaml", "--print_config"])
    assert stop.value.code in (None, 0)
    assert "class_path: pytorch_lightning.loggers.WandbLogger" in capsys.readouterr().out
