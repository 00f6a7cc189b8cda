"""Images that are not square, from files through training, scores, pictures, predictions and export."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from program_runs import refused

import gan_convnorm
from gan_convnorm.cli import main
from gan_convnorm.cli.score import main as score
from gan_convnorm.data import Arrays, Digits, Folder

SMALL = ["--width", "0.05", "--batch-size", "4", "--resolution", "16x24", "--data.channels", "3"]


@pytest.fixture
def photos(folder):
    """Pictures of 40x64 pixels: a bright bar at the left or at the right."""
    rng = np.random.default_rng(0)
    for number in range(24):
        side = ("left", "right")[number % 2]
        pixels = rng.integers(100, size=(40, 64, 3), dtype=np.uint8)
        pixels[:, slice(0, 16) if side == "left" else slice(48, 64)] += 150
        Path("photos", side).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(f"photos/{side}/{number:02d}.png")
    return folder / "photos"


@pytest.mark.quick
def test_files_of_another_aspect_ratio_are_resized_and_cropped(photos):
    data = Folder(str(photos), resolution="16x24", test_fraction=0)
    data.setup()
    assert (data.resolution, tuple(data.size)) == ("16x24", (16, 24))
    found = data.train_set.tensors[0][0].permute(1, 2, 0)
    # 40x64 -> 16x25, of which 24 columns remain: torchvision's centre crop begins at round(0.5), the even 0.
    picture = Image.open(photos / data.train_files.paths[0]).resize((25, 16), Image.Resampling.BILINEAR)
    assert np.array_equal(found, np.asarray(picture)[:, :24])
    again = Folder(str(photos), resolution="16x24", test_fraction=0)
    again.setup()
    assert torch.equal(again.train_set.tensors[0], data.train_set.tensors[0])
    stretched = Folder(str(photos), resolution="16x24", test_fraction=0, fit="stretch")
    stretched.setup()
    picture = Image.open(photos / data.train_files.paths[0]).resize((24, 16), Image.Resampling.BILINEAR)
    assert np.array_equal(stretched.train_set.tensors[0][0].permute(1, 2, 0), np.asarray(picture))


@pytest.mark.quick
def test_digits_are_stretched():
    data = Digits("8x12")
    data.setup()
    assert data.train_set.tensors[0].shape == (1437, 1, 8, 12)
    square = Digits(8)
    square.setup()
    assert square.resolution == 8 and square.train_set.tensors[0].shape == (1437, 1, 8, 8)


def test_pictures_train_a_gan_that_makes_their_shape(photos, capsys):
    words = ["--data", "folder", "--data.path", str(photos), *SMALL, "--conditional", "--disc-norm", "convnorm"]
    main(
        [*words, "--steps", "2", "--eval-every", "2", "--num-fake", "24", "--operator-norms-every", "2", "--out", "run"]
    )
    config = yaml.safe_load(Path("run/config.yaml").read_text())
    assert config["data"]["init_args"]["resolution"] == "16x24" and "resolution" not in config["model"]
    assert np.isfinite(json.loads(Path("run/summary.json").read_text())["last"]["fid"])
    assert "16 x 24" in Path("run/report.html").read_text()
    picture = Image.open("run/samples/step-000002.png")
    factor = 64 // 24
    assert picture.height % (factor * 16 + 2) == 2 and picture.width % (factor * 24 + 2) == 2

    command = "predict --ckpt-path run/last.ckpt --num 6 --nearest 2 --project 1 --interpolate 1 --out made"
    main(command.split())
    files = sorted(Path("made/images").glob("**/*.png"))
    assert len(files) == 6 and all(Image.open(file).size == (24, 16) for file in files)
    gan = gan_convnorm.load("run/last.ckpt")
    made = gan.sample(6)
    assert made.shape == (6, 3, 16, 24)

    main(["--resume", "run/last.ckpt", "--steps", "3"])
    assert gan_convnorm.load("run/last.ckpt").g_step == 3
    main(["test", "--ckpt-path", "run/last.ckpt", "--num-fake", "24"])

    main(["export", "run/last.ckpt", "exported"])
    assert json.loads(Path("exported/generator.json").read_text())["arguments"]["resolution"] == "16x24"
    exported = gan_convnorm.load("exported").sample(6)
    assert exported.shape == (6, 3, 16, 24)
    program = torch.export.load("exported/generator.pt2").module()
    assert program(torch.zeros(2, 128), torch.tensor([0, 1])).shape == (2, 3, 16, 24)
    gan.save_pretrained("whole")
    assert torch.equal(gan_convnorm.load("whole").sample(6), made)

    main(["predict", "--ckpt-path", "run/last.ckpt", "--num", "6", "--format", "npz", "--out", "arrays"])
    assert Arrays("arrays/images.npz", resolution="16x24").channels == 3

    capsys.readouterr()
    words[words.index("16x24")] = "16x25"
    assert (
        "no network for 16x25 images; beside a side of 16 the other must be a multiple of 4, such as 24 or 28"
        in refused(capsys, *words, "--out", "other")
    )
    words[words.index("16x25")] = "24x16"
    assert "trained with resolution '16x24', and '24x16' is asked for" in refused(
        capsys, *words, "--ckpt-path", "run/last.ckpt"
    )


def test_scores_of_files_of_another_shape(photos, capsys):
    words = [str(photos), str(photos / "left"), "--extractor", "classifier", "--metrics", "fid", "--device", "cpu"]
    score([*words, "--resize", "16x24", "--json", "scores.json"])
    assert "FID" in capsys.readouterr().out
    assert json.loads(Path("scores.json").read_text())["values"]["fid"] > 0
    assert "resize is '16by24'; expected the side of square images" in refused(
        capsys, *words, "--resize", "16by24", program=score
    )
