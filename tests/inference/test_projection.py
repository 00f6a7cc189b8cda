"""Projection: an image that the generator can make is found again, and errors are what they say."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from gan_convnorm.cli import main
from gan_convnorm.errors import BadInput
from gan_convnorm.gan import GAN, Architecture
from gan_convnorm.gan.loading import load
from gan_convnorm.inference.projection import project
from gan_convnorm.inference.real_images import project_held_out

ZOO = Path(__file__).parents[2] / "checkpoints" / "digits_convnorm"


@pytest.fixture(scope="module")
def generator():
    return load(ZOO)


def rms(a, b):
    return (a.double() / 255 - b.double() / 255).square().mean((1, 2, 3)).sqrt()


@pytest.mark.slow
def test_an_image_of_the_generator_is_found_again(generator):
    images = generator.sample(2, seed=11)
    found = project(generator, images, steps=150, starts=4)
    others = generator.sample(2, seed=12)
    assert (found.errors < 0.25 * rms(images, others)).all(), found.errors
    assert (found.errors < found.start_errors).all()


def test_errors_and_latents_are_of_the_images_that_are_returned(generator, digits):
    images = digits.train_set.tensors[0][:3]
    found = project(generator, images, steps=10, starts=2)
    assert torch.equal(found.made, generator.decode(found.latents))
    torch.testing.assert_close(found.errors.double(), rms(found.made, images), rtol=0, atol=2e-4)
    torch.testing.assert_close(found.latents.norm(dim=1), torch.full((3,), 128**0.5))
    again = project(generator, images, steps=10, starts=2)
    assert torch.equal(found.latents, again.latents)


def test_a_class_is_kept():
    torch.manual_seed(0)
    network = GAN(
        resolution=16, channels=1, num_classes=3, architecture=Architecture(width=0.05, conditional=True)
    ).eval()
    images = network.sample(2, labels=1, seed=4)
    found = project(network, images, torch.tensor([1, 1]), steps=3, starts=1)
    assert torch.equal(found.made, network.decode(found.latents, torch.tensor([1, 1])))
    with pytest.raises(BadInput, match="takes labels, and none are given"):
        project(network, images, steps=3)
    for labels in (torch.tensor([1, 3]), torch.tensor([1]), torch.tensor([-1, 0])):
        with pytest.raises(BadInput, match="expected 2 whole numbers from 0 to 2"):
            project(network, images, labels, steps=3)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_impossible_projections_are_refused(generator, digits):
    with pytest.raises(BadInput, match=r"\(3, 16, 16\).*\(1, 16, 16\)"):
        project(generator, digits.train_set.tensors[0][:1].expand(-1, 3, -1, -1))
    with pytest.raises(BadInput, match="0 steps"):
        project(generator, digits.train_set.tensors[0][:1], steps=0)
    with pytest.raises(BadInput, match="seed is -1"):
        project(generator, digits.train_set.tensors[0][:1], seed=-1)
    with pytest.raises(BadInput, match="trained without classes"):
        project(generator, digits.train_set.tensors[0][:1], torch.tensor([1]))


def test_the_files_hold_pictures_errors_and_latents(generator, digits, tmp_path):
    found = project(generator, digits.train_set.tensors[0][:2], steps=2, starts=1)
    paths = found.write(tmp_path)
    assert [path.name for path in paths] == ["projection.png", "projection.csv", "projection.npz"]
    rows = list(csv.DictReader(paths[1].open()))
    assert [float(row["error"]) for row in rows] == pytest.approx(found.errors.tolist(), rel=1e-5)
    assert np.array_equal(np.load(paths[2])["latents"], found.latents.numpy())
    assert "median of 2 images" in found.line()


@pytest.fixture(scope="module")
def photos_run(tmp_path_factory):
    """A conditional run of two steps on a folder of grey pictures, and the folder."""
    folder = tmp_path_factory.mktemp("photos")
    for split, number in [("train", n) for n in range(12)] + [("test", n) for n in range(3)]:
        path = folder / "photos" / split / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = torch.Generator().manual_seed(number)
        Image.fromarray(torch.randint(0, 256, (16, 16), dtype=torch.uint8, generator=rng).numpy()).save(path)
    words = ["--data", "folder", "--data.path", str(folder / "photos"), "--data.channels", "1", "--resolution", "16"]
    words += ["--steps", "2", "--width", "0.05", "--batch-size", "4", "--num-fake", "20", "--eval-every", "2"]
    main([*words, "--conditional", "--out", str(folder / "run")])
    return folder


@pytest.mark.slow
def test_predict_projects_held_out_images_and_names_their_files(photos_run, tmp_path, capsys):
    words = ["predict", "--ckpt-path", str(photos_run / "run/last.ckpt"), "--num", "1", "--out", str(tmp_path / "made")]
    main([*words, "--project", "5", "--nearest", "1"])
    out = capsys.readouterr().out
    assert "latents of 3 photos held-out images" in out and "projection: root mean square difference" in out
    rows = list(csv.DictReader((tmp_path / "made/projection.csv").open()))
    assert [row["file"] for row in rows] == ["test/a/0.png", "test/a/2.png", "test/b/1.png"]
    with np.load(tmp_path / "made/projection.npz") as saved:
        latents = torch.from_numpy(saved["latents"])
    made = load(photos_run / "run/last.ckpt").decode(latents, torch.tensor([0, 0, 1]))  # as the files' classes
    files = [torch.from_numpy(np.asarray(Image.open(photos_run / "photos" / row["file"])).copy()) for row in rows]
    errors = rms(made, torch.stack(files).unsqueeze(1))
    assert [float(row["error"]) for row in rows] == pytest.approx(errors.tolist(), abs=1e-3)
    nearest = list(csv.DictReader((tmp_path / "made/nearest.csv").open()))
    kept = sorted(str(path.relative_to(photos_run / "photos")) for path in (photos_run / "photos/train").rglob("*.png"))
    assert [row["file"] for row in nearest] == [kept[int(row["train_image"])] for row in nearest]


@pytest.mark.slow
def test_train_images_are_projected_where_none_are_held_out(generator, digits, capsys):
    class Data:
        name = "all"
        train_set, test_set, file_names = digits.train_set, None, {}

    found, files = project_held_out(generator, 1, Data(), ema=True)
    assert torch.equal(found.images, digits.train_set.tensors[0][:1]) and not files
    assert "training images, for none are held out" in capsys.readouterr().out


def test_images_of_all_classes_are_projected_and_only_with_their_labels(digits, capsys):
    images, labels = digits.test_set.tensors
    order = labels.argsort(stable=True)  # as a folder's are

    class Data:
        name, train_set, file_names = "sorted", digits.train_set, {"test": [f"{row}.png" for row in range(len(order))]}
        test_set = TensorDataset(images[order], labels[order])

    gan = GAN(num_classes=10, architecture=Architecture(width=0.05, conditional=True))
    found, files = project_held_out(gan, 10, Data(), ema=True)
    assert torch.equal(found.images, images[order][[int(name.removesuffix(".png")) for name in files]])
    assert len({labels[order][int(name.removesuffix(".png"))].item() for name in files}) >= 8
    Data.test_set = TensorDataset(images[order])
    _, files = project_held_out(gan, 2, Data(), ema=True)
    assert not files and "training images, for none are held out with labels" in capsys.readouterr().out


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_generator_of_another_precision_is_projected_onto_also_in_inference_mode(dtype):
    torch.manual_seed(0)
    network = GAN(resolution=16, channels=1, architecture=Architecture(width=0.05)).eval().to(dtype)
    images = network.sample(2, seed=4)
    with torch.inference_mode():
        found = project(network, images, steps=3, starts=2)
    assert found.latents.dtype == torch.float32 and found.latents.shape == (2, 128)
    with pytest.raises(BadInput, match="no image to project"):
        project(network, images[:0])
