"""What a trained generator shows: predict and the functions behind it."""

import csv
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from gan_convnorm.callbacks.image_writer import ARRAYS
from gan_convnorm.cli import main
from gan_convnorm.data import Arrays, Folder
from gan_convnorm.errors import BadInput
from gan_convnorm.gan.loading import load
from gan_convnorm.inference import find_neighbours, interpolate, slerp
from gan_convnorm.inference.animation import check_animation, write_animation
from gan_convnorm.inference.neighbours import nearest_rows, pixel_space
from gan_convnorm.inference.real_images import nearest_train_images

SMALL = ["--width", "0.05", "--batch-size", "8", "--num-fake", "20", "--eval-every", "2", "--steps", "2"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, cache_folder):
    """A conditional GAN of two steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
        run = tmp_path_factory.mktemp("conditional") / "run"
        main(["--conditional", "--out", str(run), *SMALL])
    return run / "last.ckpt"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)


def pixels(path):
    return torch.from_numpy(np.asarray(Image.open(path)).copy())


def tile(picture, row, column):
    """The image at a place of a grid: 16 pixels drawn as 64, two between them."""
    top, left = 2 + 66 * row, 2 + 66 * column
    return pixels(picture)[top : top + 64 : 4, left : left + 64 : 4, 0]


@pytest.mark.slow
def test_classes_as_folders_and_their_grid(checkpoint, capsys):
    main(["predict", "--ckpt_path", str(checkpoint), "--num", "7", "--labels", "3,8", "--out", "made"])
    images = load(checkpoint).sample(7, labels=torch.tensor([3, 8, 3, 8, 3, 8, 3]))
    found = sorted(str(p.relative_to("made/images")) for p in Path("made/images").rglob("*.png"))
    assert found == [*(f"3/{i:05d}.png" for i in (0, 2, 4, 6)), *(f"8/{i:05d}.png" for i in (1, 3, 5))]
    assert torch.equal(pixels("made/images/8/00003.png"), images[3, 0])
    assert pixels("made/classes.png").shape == (66 * 2 + 2, 66 * 10 + 2, 3)
    for row, label in enumerate((3, 8)):
        # As many as the row has: another batch rounds otherwise on some CPUs.
        assert torch.equal(tile("made/classes.png", row, 4), load(checkpoint).sample(10, labels=label)[4, 0])
    data = Folder("made/images", resolution=16, channels=1, test_fraction=0)
    data.setup()
    assert data.num_classes == 2 and sorted(data.train_set.tensors[1].tolist()) == [0, 0, 0, 0, 1, 1, 1]
    assert "made/classes.png" in capsys.readouterr().out


@pytest.mark.slow
def test_arrays_hold_the_images_and_can_be_trained_on(checkpoint):
    main(
        [
            "predict",
            "--ckpt_path",
            str(checkpoint),
            "--num",
            "300",
            "--format",
            "npz",
            "--truncation",
            "0.5",
            "--out",
            "m",
        ]
    )
    expected = load(checkpoint).sample(300, truncation=0.5)
    data = Arrays(f"m/{ARRAYS}")
    data.setup()
    assert torch.equal(data.train_set.tensors[0], expected)
    assert torch.equal(data.train_set.tensors[1], torch.arange(300) % 10)
    assert not Path("m/images").exists()


@pytest.mark.slow
def test_seed_and_weights_choose_the_images(checkpoint):
    module = load(checkpoint)
    for flags, options in ((["--seed", "5"], {"seed": 5}), (["--ema", "false"], {"ema": False})):
        out = "-".join(flags).strip("-")
        main(["predict", "--ckpt_path", str(checkpoint), "--num", "2", "--labels", "1", "--out", out, *flags])
        assert torch.equal(pixels(f"{out}/images/1/00001.png"), module.sample(2, labels=1, **options)[1, 0])
    assert not torch.equal(module.sample(2, seed=5), module.sample(2))
    assert not torch.equal(module.sample(2, ema=False), module.sample(2))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["gif", "mp4"])
def test_interpolation(checkpoint, form):
    if form == "mp4":
        pytest.importorskip("imageio_ffmpeg")
    flags = ["--interpolate", "3", "--animation", form, "--num", "1", "--labels", "2", "--out", "m"]
    main(["predict", "--ckpt_path", str(checkpoint), *flags])
    module = load(checkpoint)
    ends = module.sample(6, labels=2)
    for row in range(3):
        assert torch.equal(tile("m/interpolation.png", row, 0), ends[2 * row, 0])
        assert torch.equal(tile("m/interpolation.png", row, 9), ends[2 * row + 1, 0])
    if form == "gif":
        with Image.open("m/interpolation.gif") as movie:
            assert movie.n_frames == 40 and movie.info["loop"] == 0 and movie.size == (66 * 3 + 2, 68)
            movie.seek(20)  # the other ends
            shown = torch.from_numpy(np.asarray(movie.convert("L")).copy())[2:66:4, 2:66:4]
        assert (shown.int() - ends[1, 0].int()).abs().max() <= 2  # the palette's rounding
    else:
        import imageio_ffmpeg

        reader = imageio_ffmpeg.read_frames("m/interpolation.mp4")
        about = next(reader)
        assert about["size"] == (200, 68) and len(list(reader)) == 40


def test_odd_sides_fit_the_encoder(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    write_animation([torch.zeros(3, 33, 51, dtype=torch.uint8)] * 3, tmp_path / "odd.mp4")
    assert (tmp_path / "odd.mp4").stat().st_size > 0


def test_slerp_is_the_arc():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 5, 128, generator=generator, dtype=torch.float64)
    shares = torch.linspace(0, 1, 7)
    found = slerp(a, b, shares)
    assert found.shape == (7, 5, 128)
    for row in range(5):
        # In the plane of the two, with the angle divided evenly; the length goes from one to the other's.
        first = a[row] / a[row].norm()
        angle = math.acos(float(first @ b[row] / b[row].norm()))
        second = b[row] / b[row].norm() - math.cos(angle) * first
        second = second / second.norm()
        unit = slerp(first[None], (b[row] / b[row].norm())[None], shares)[:, 0]
        for share, at in zip(shares.tolist(), unit, strict=True):
            assert torch.allclose(at, math.cos(share * angle) * first + math.sin(share * angle) * second, atol=1e-9)
    assert torch.allclose(found[0], a) and torch.allclose(found[-1], b)
    assert 0.9 < float(found[3].norm(dim=1).mean()) / math.sqrt(128) < 1.1  # a straight line's middle has 0.7
    assert torch.allclose(slerp(a, a, shares), a.expand(7, -1, -1))
    assert torch.allclose(slerp(a, -a, shares)[3], torch.zeros_like(a))


def test_nearest_rows_are_those_of_all_distances():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2500, 1, 4, 4), dtype=torch.uint8, generator=generator)
    queries = torch.cat([images[[7, 2400]], images[[3]] // 2])
    values = images.double().flatten(1) / 255
    expected = (
        ((queries.double().flatten(1) / 255)[:, None] - values[None]).pow(2).mean(2).sqrt().topk(4, largest=False)
    )
    distances, numbers = nearest_rows(pixel_space(queries), images, 4, pixel_space)
    assert torch.equal(numbers, expected.indices)
    assert torch.allclose(distances.double(), expected.values, atol=1e-6)
    assert distances[0, 0] == 0 and numbers[1, 0] == 2400
    alone, others = nearest_rows(pixel_space(images[:2]), images, 1, pixel_space, own=torch.arange(2))
    assert (alone > 0).all() and (others[:, 0] != torch.arange(2)).all()


def test_copies_of_train_images_are_told_from_unseen_ones(digits, tmp_path):
    train, unseen = digits.train_set.tensors[0], digits.test_set.tensors[0]
    copies = find_neighbours(train[:20], train, unseen[:100]).summary()["pixels"]
    fresh = find_neighbours(unseen[100:300], train, unseen[:100]).summary()["pixels"]
    assert copies["share_of_near_fakes"] == 1 and copies["fakes_median"] == 0 and copies["unseen_smallest"] > 0
    assert fresh["share_of_near_fakes"] < 0.15  # 0.05 expected
    without = find_neighbours(train[:20], train, None)
    assert (without.unseen["pixels"] > 0).all() and "others" in without.unseen_name


@pytest.mark.slow
def test_neighbours_of_fakes_as_picture_and_tables(checkpoint, digits, capsys):
    main(["predict", "--ckpt_path", str(checkpoint), "--num", "1", "--nearest", "3", "--out", "m"])
    train, fakes = digits.train_set.tensors[0], load(checkpoint).sample(3)
    with Path("m/nearest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["fake"], r["space"], r["rank"]) for r in rows] == [
        (str(fake), space, str(rank))
        for space in ("pixels", "classifier features")
        for fake in range(3)
        for rank in range(1, 6)
    ]
    first = rows[5]  # of the second fake
    gap = (fakes[1].double() - train[int(first["train_image"])].double()) / 255
    assert float(first["distance"]) == pytest.approx(float(gap.pow(2).mean().sqrt()), rel=1e-4)
    # 24 rows of heading, 64 of the first image, 16 of its caption, 4 between; 4 columns, 68 of the fakes, 20 between.
    shown = pixels("m/nearest.png")[108:172:4]
    assert torch.equal(shown[:, 4:68:4, 0], fakes[1, 0])
    assert torch.equal(shown[:, 92:156:4, 0], train[int(first["train_image"]), 0])
    assert {row["file"] for row in rows} == {""}  # digits are no files
    summary = json.loads(Path("m/nearest.json").read_text())
    assert list(summary) == ["pixels", "classifier features"]
    assert summary["pixels"]["fakes"] == 3 and summary["pixels"]["unseen"] == 200
    assert "distance to the nearest training image" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--labels 10", "--labels is '10'; expected all, or of 0 to 9, such as 0,1"),
        ("--labels 1,x", "--labels is '1,x'"),
        ("--truncation 0", "--truncation is 0.0, and must be above 0"),
        ("--format jpg", "format"),
        ("--num 0", "num"),
    ],
)
def test_bad_options_are_one_line_and_write_nothing(checkpoint, flags, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["predict", "--ckpt_path", str(checkpoint), "--out", "m", *flags.split()])
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not Path("m").exists()


@pytest.mark.slow
def test_what_cannot_be_had_is_said(monkeypatch, checkpoint):
    monkeypatch.setattr("gan_convnorm.inference.animation.find_spec", lambda name: None)
    with pytest.raises(BadInput, match="pip install imageio-ffmpeg; or choose gif"):
        check_animation("mp4")
    check_animation("gif")
    with pytest.raises(BadInput, match="0 interpolations of 5 images"):
        interpolate(load(checkpoint), 0, 5)


def test_files_whose_names_are_no_text_are_in_the_table(tmp_path):
    images = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    found = find_neighbours(images, images, None)
    found.write(tmp_path, images, images, ["a\udcff.png"])
    assert r"a\xff.png" in (tmp_path / "nearest.csv").read_text()


def test_unseen_images_are_of_all_classes(monkeypatch):
    """Fakes are of every class. The noisiest class alone would make all of them look like copies, or none."""
    torch.manual_seed(0)
    noisy, flat = torch.randint(256, (300, 1, 8, 8)), torch.randint(100, 104, (300, 1, 8, 8))
    draws = torch.cat([noisy, flat]).to(torch.uint8)
    train, test = draws[::2], draws[1::2]
    data = SimpleNamespace(name="toy", train_set=TensorDataset(train, torch.arange(300) // 150))
    shares = []
    for order in (torch.arange(300), torch.arange(299, -1, -1)):
        data.test_set = TensorDataset(test[order])
        found = nearest_train_images(test[::3], data, "classifier", None)
        shares.append(found.summary()["pixels"]["share_of_near_fakes"])
    assert max(shares) < 0.2
