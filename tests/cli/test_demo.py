"""The verb demo: which generator and which training images the page is given."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from gan_convnorm.cli import main
from gan_convnorm.inference import demo_page

ZOO = Path(__file__).parents[2] / "checkpoints" / "digits_convnorm"


@pytest.fixture
def served(monkeypatch):
    """Return what would be served."""
    found = []
    monkeypatch.setattr(demo_page, "serve", lambda *args, **options: found.append((*args, options)))
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two steps on the digits, and beside it its exported generator."""
    folder = tmp_path_factory.mktemp("demo")
    words = ["--width", "0.05", "--batch-size", "4", "--steps", "2", "--eval-every", "2", "--num-fake", "20"]
    main([*words, "--out", str(folder / "run"), "--extractor", "classifier"])
    main(["export", str(folder / "run/best.ckpt"), str(folder / "export"), "--no-program"])
    return folder / "run"


def test_an_export_brings_its_train_images(run, served, digits):
    main(["demo", str(run.parent / "export"), "--port", "7999"])
    ((playground, title, port, options),) = served
    assert title == "export, step 2" and port == 7999 and options == {"open_browser": False}
    assert torch.equal(playground.train, digits.train_set.tensors[0])


def test_a_run_folder_shows_its_best_checkpoint(run, served, digits):
    main(["demo", str(run)])
    playground, title, *_ = served[-1]
    assert title == "run, step 2" and torch.equal(playground.train, digits.train_set.tensors[0])
    assert playground.images(3).shape == (1, 1, 16, 16)


def test_a_pretrained_folder_shows_its_samples_alone(served, capsys):
    main(["demo", str(ZOO)])
    playground, title, *_ = served[-1]
    assert title == "digits_convnorm, step 1500" and playground.train is None
    assert "GAN.save_pretrained wrote, which does not record them" in capsys.readouterr().out


def test_unknown_train_images_hide_the_tab_and_a_folder_shows_it(run, served, working_folder, capsys):
    from PIL import Image

    folder = shutil.copytree(run.parent / "export", working_folder / "export")
    description = json.loads((folder / "generator.json").read_text())
    description["run"]["data"] = "mine.Photos"
    (folder / "generator.json").write_text(json.dumps(description))
    main(["demo", str(folder)])
    assert served[-1][0].train is None
    assert "mine.Photos" in (out := capsys.readouterr().out) and "--train-images" in out
    Path("photos").mkdir()
    for number in range(4):
        Image.new("L", (20, 20), 60 * number).save(f"photos/{number}.png")
    main(["demo", str(folder), "--train-images", "photos"])
    assert served[-1][0].train.shape[1:] == (1, 16, 16)


@pytest.mark.parametrize(
    ("words", "line"), [(["nowhere"], "nowhere"), ([str(ZOO), "--train-images", "nowhere"], "nowhere"), ([], "source")]
)
def test_bad_input_is_one_line(words, line, served, working_folder, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["demo", *words])
    assert ended.value.code == 2 and not served
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1 and line in error[0]
