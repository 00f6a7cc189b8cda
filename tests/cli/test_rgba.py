"""RGBA images from files through training, scores, pictures, predictions and export."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gan_convnorm
from gan_convnorm.cli import main
from gan_convnorm.data import Arrays, Folder
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.classifier import trained_weights
from gan_convnorm.fidelity.classifier_features import NAME, ClassifierFeatures
from gan_convnorm.fidelity.features import _fit_channels
from gan_convnorm.images.grid import GREY, picture_grid

SMALL = ["--width", "0.05", "--batch-size", "4", "--resolution", "16", "--data.channels", "4"]


@pytest.fixture
def photos(folder):
    """Discs on transparent ground, an opaque file, a grey one with alpha, and a palette with a transparent colour."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:20, :20]
    for label in ("disc", "ring"):
        Path("photos", label).mkdir(parents=True)
        for number in range(12):
            radius = np.hypot(rows - 10 + rng.normal(), columns - 10 + rng.normal())
            inside = (radius < 7) & ((label == "disc") | (radius > 3))
            pixels = np.dstack([*rng.integers(256, size=(3, 1, 1)).repeat(20, 1).repeat(20, 2), 255 * inside])
            Image.fromarray(pixels.astype(np.uint8), "RGBA").save(f"photos/{label}/{number}.png")
    Image.new("RGB", (20, 20), (9, 8, 7)).save("photos/disc/opaque.png")
    Image.new("LA", (20, 20), (50, 60)).save("photos/disc/grey.png")
    palette = Image.new("P", (20, 20), 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    palette.save("photos/disc/palette.png", transparency=1)
    return folder / "photos"


def test_files_keep_their_alpha_channel(photos):
    with pytest.warns(UserWarning, match="have no alpha channel, which is set to 255"):
        data = Folder(str(photos), resolution=20, channels=4, test_fraction=0)
        data.setup()
    names = [Path(path).name for path in data.train_files.paths]
    images = {
        f"{label}{name}": image
        for label, name, image in zip(data.train_files.labels, names, data.train_set.tensors[0], strict=True)
    }
    assert torch.equal(images["0opaque.png"][:, 3, 3], torch.tensor([9, 8, 7, 255], dtype=torch.uint8))
    assert torch.equal(images["0grey.png"][:, 3, 3], torch.tensor([50, 50, 50, 60], dtype=torch.uint8))
    assert torch.equal(images["0palette.png"][:, 3, 3], torch.tensor([200, 100, 50, 0], dtype=torch.uint8))
    expected = np.asarray(Image.open(photos / "ring/3.png")).transpose(2, 0, 1)
    assert torch.equal(images["13.png"], torch.from_numpy(expected.copy()))


def test_a_grid_shows_alpha_over_a_checkerboard():
    images = torch.tensor([200, 100, 50, 0], dtype=torch.uint8).view(1, 4, 1, 1).repeat(3, 1, 64, 64)
    images[1, 3], images[2, 3] = 255, 51
    first, second, third = picture_grid(images)[:, 2:66].split([66, 66, 68], dim=2)
    assert set(first[0, :, 2:].unique().tolist()) == {102, 153}
    assert first[0, 0, 2] == 102 and first[0, 0, 10] == 153 and first[0, 8, 10] == 102
    assert torch.equal(second[:, 5, 9], torch.tensor([200, 100, 50], dtype=torch.uint8))
    assert third[0, 0, 2] == round(0.2 * 200 + 0.8 * 102)
    assert (picture_grid(images)[:, 0] == GREY).all()


def test_rgba_files_train_a_gan_that_predicts_rgba_files(photos, capsys):
    words = ["--data", "folder", "--data.path", str(photos), *SMALL, "--augmentation", "color,translation"]
    main([*words, "--steps", "2", "--eval-every", "2", "--num-fake", "20", "--out", "run"])
    grid = Image.open("run/samples/step-000002.png")
    assert grid.mode == "RGB"
    command = "predict --ckpt-path run/last.ckpt --num 6 --nearest 2 --interpolate 1 --out made"
    main(command.split())
    files = sorted(Path("made/images").glob("**/*.png"))
    assert len(files) == 6
    assert all(Image.open(file).mode == "RGBA" for file in files)
    made = gan_convnorm.load("run/last.ckpt").sample(6)
    assert made.shape == (6, 4, 16, 16)
    found = torch.from_numpy(np.stack([np.asarray(Image.open(file)) for file in files])).permute(0, 3, 1, 2)
    assert torch.equal(found, made.cpu())

    main(["export", "run/last.ckpt", "exported"])
    assert torch.equal(gan_convnorm.load("exported").sample(6), made)
    main(["predict", "--ckpt-path", "run/last.ckpt", "--num", "6", "--format", "npz", "--out", "arrays"])
    data = Arrays("arrays/images.npz", batch_size=2)
    assert (data.channels, data.resolution) == (4, 16)

    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([*words, "--steps", "2", "--extractor", "inception", "--out", "other"])
    assert stop.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "the data have 4 channels (RGBA), and the extractor inception takes 3; score with --extractor" in error


def test_an_extractor_of_other_channels_refuses_in_one_line():
    rgb = torch.randint(0, 256, (9, 3, 4, 4), dtype=torch.uint8)
    rgba = torch.cat([rgb, rgb[:, :1]], dim=1)
    for known, given in ((rgb, rgba), (rgba, rgb), (rgba, rgb[:, :1])):
        weights = trained_weights(known, torch.arange(9) % 2)
        extractor = ClassifierFeatures(NAME, ["features"], str(weights))
        with pytest.raises(
            BadInput, match=f"the images have {given.shape[1]} channels, and the extractor takes {known.shape[1]};"
        ):
            _fit_channels(given, extractor)
    assert (
        _fit_channels(rgba, ClassifierFeatures(NAME, ["features"], str(trained_weights(rgba, torch.arange(9) % 2))))
        is rgba
    )
