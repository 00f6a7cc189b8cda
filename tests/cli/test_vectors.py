"""A vector for every image, from a CSV file through training, scores, predictions and export."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from program_runs import refused

import gan_convnorm
from gan_convnorm.cli import main
from gan_convnorm.errors import BadInput

SMALL = ["--width", "0.05", "--batch-size", "8", "--resolution", "16", "--data.channels", "1", "--conditional"]


@pytest.fixture
def words(folder, monkeypatch):
    """Grey images whose level and slope are the vector."""
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)  # the scores' meaning is not in question here
    rng = np.random.default_rng(0)
    lines = ["file,level,slope"]
    Path("photos").mkdir()
    for number in range(40):
        level, slope = rng.uniform(0.2, 0.8), rng.uniform(-0.2, 0.2)
        pixels = np.tile(level + slope * np.linspace(-1, 1, 20), (20, 1))
        Image.fromarray((255 * pixels).astype(np.uint8)).save(f"photos/{number:02d}.png")
        lines.append(f"{number:02d}.png,{level:.4f},{slope:.4f}")
    Path("labels.csv").write_text("\n".join(lines) + "\n")
    return ["--data", "folder", "--data.path", "photos", "--data.labels", "labels.csv", *SMALL]


def test_vectors_train_a_gan_that_takes_them(words, capsys):
    main([*words, "--steps", "4", "--eval-every", "2", "--num-fake", "40", "--disc-norm", "convnorm", "--out", "run"])
    assert np.isfinite(json.loads(Path("run/summary.json").read_text())["last"]["fid"])
    Path("renamed.csv").write_text(Path("labels.csv").read_text().replace("level,slope", "slope,level"))
    err = refused(capsys, "--resume", "run/last.ckpt", "--data.labels", "renamed.csv", "--steps", "6")
    assert "trained with the labels level, slope, and the data have slope, level" in err
    gan = gan_convnorm.load("run/last.ckpt")
    assert (gan.num_classes, gan.condition_size, gan.hparams["conditions"]) == (None, 2, ["level", "slope"])
    lines = [line.split(",")[1:] for line in Path("labels.csv").read_text().splitlines()[1:]]
    known = {tuple(np.float32(pair).tolist()) for pair in np.array(lines, dtype=float)}
    assert {tuple(row) for row in gan.generator_ema.conditions.tolist()} < known  # 36 of 40 train
    one = gan.sample(3, labels=torch.tensor([0.5, 0.1]))
    assert torch.equal(one[1:], gan.sample(2, first=1, labels=torch.tensor([[0.5, 0.1]] * 2)))
    assert not torch.equal(gan.sample(3), one)
    assert torch.equal(gan.sample(3), gan.sample(3, labels=gan.generator.conditions[:3]))

    command = "predict --ckpt-path run/last.ckpt --num 3 --condition 0.5,0.1 --interpolate 1 --project 1 --out made"
    main(command.split())
    files = sorted(Path("made/images").glob("*.png"))
    found = torch.from_numpy(np.stack([np.asarray(Image.open(file)) for file in files]))[:, None]
    assert torch.equal(found, one)
    command = "predict --ckpt-path run/last.ckpt --num 3 --condition 0.5,0.1 --format npz --out arrays"
    main(command.split())
    arrays = np.load("arrays/images.npz")
    assert np.array_equal(arrays["conditions"], np.float32([[0.5, 0.1]] * 3)) and "labels" not in arrays
    command = "predict --ckpt-path run/last.ckpt --num 3 --nearest 1 --interpolate 1 --out usual"
    main(command.split())

    main(["export", "run/last.ckpt", "exported"])
    exported = gan_convnorm.load("exported")
    assert torch.equal(exported.sample(3), gan.sample(3))
    assert torch.equal(exported.sample(3, labels=torch.tensor([0.5, 0.1])), one)
    program = torch.export.load("exported/generator.pt2").module()
    assert program(torch.zeros(5, 128), torch.zeros(5, 2)).shape == (5, 1, 16, 16)
    gan.save_pretrained("whole")
    assert torch.equal(gan_convnorm.load("whole").sample(3), gan.sample(3))
    assert "level, slope" in Path("whole/README.md").read_text()

    main(["--resume", "run/last.ckpt", "--steps", "5", "--num-fake", "40"])
    longer = gan_convnorm.load("run/last.ckpt")
    assert longer.g_step == 5 and torch.equal(longer.generator.conditions, gan.generator.conditions)

    capsys.readouterr()
    main(
        [
            *words,
            "--init-from",
            "exported",
            "--steps",
            "1",
            "--num-fake",
            "40",
            "--disc-norm",
            "convnorm",
            "--out",
            "fine",
        ]
    )
    assert re.search(r"exported: (\d+) of \1 layers of the generator, 0 of", capsys.readouterr().out)
    for given, said in (
        ("1", "takes one number for each of level, slope"),
        ("1,2,3", "takes one number for each of level, slope"),
        ("1,old", "expected finite numbers, such as 1,0.5"),
        ("1,nan", "expected finite numbers, such as 1,0.5"),
    ):
        line = refused(capsys, "predict", "--ckpt-path", "run/last.ckpt", "--condition", given, "--out", "no")
        assert f"--condition is '{given}'" in line and said in line
    assert not Path("no").exists()
    for labels in (3, torch.zeros(3), torch.tensor([float("nan"), 0.0]), torch.zeros(2, 2), torch.zeros(2).long()):
        with pytest.raises(BadInput, match="expected 3 vectors of 2 finite"):
            gan.sample(3, labels=labels)


def test_bad_files_and_other_generators_are_one_line(words, capsys):
    Path("labels.csv").write_text(Path("labels.csv").read_text().replace("07.png,0", "07.png,zero"))
    assert "labels.csv, line 9: level is 'zero" in refused(capsys, *words, "--steps", "2", "--out", "run")
    assert not Path("run").exists()
    main(["--steps", "2", "--width", "0.05", "--num-fake", "20", "--out", "digits"])
    capsys.readouterr()
    line = refused(capsys, "predict", "--ckpt-path", "digits/last.ckpt", "--condition", "1")
    assert "--condition is '1', and this generator takes none: it takes no vectors" in line
