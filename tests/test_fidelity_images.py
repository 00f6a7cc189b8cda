"""Images from tensors, folders, checkpoints and functions; what is wrong with them is said in one line."""

import json
import warnings

import numpy as np
import pytest
import torch
import torch_fidelity
from PIL import Image

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import FolderImages, GeneratedImages, TensorImages, create_extractor, evaluate
from gan_convnorm.fidelity.__main__ import main
from gan_convnorm.fidelity.classifier import trained_weights


@pytest.fixture
def rgb():
    return np.random.RandomState(0).randint(0, 256, (6, 20, 24, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, rgb):
    path = tmp_path / "images"
    path.mkdir()
    for number, pixels in enumerate(rgb):
        Image.fromarray(pixels).save(path / f"{number}.png")
    (path / "notes.txt").write_text("no image")
    return path


@pytest.fixture(scope="module")
def digit_folders(tmp_path_factory, digits):
    """60 test and 80 train digits as grey PNG files."""
    root = tmp_path_factory.mktemp("digits")
    for split, images, count in (("fakes", digits.test_set, 60), ("real", digits.train_set, 80)):
        (root / split).mkdir()
        for number, image in enumerate(images.tensors[0][:count]):
            Image.fromarray(image[0].numpy()).save(root / split / f"{number:03d}.png")
    return root


def read(images, batch_size=4, **options):
    return torch.cat(list(images.batches(0, len(images), batch_size, **options)))


def test_folder_has_the_files_bytes_in_order(folder, rgb):
    images = FolderImages(folder)
    assert len(images) == 6
    assert torch.equal(read(images), torch.from_numpy(rgb).permute(0, 3, 1, 2))
    assert torch.equal(torch.cat(list(images.batches(2, 5, 2))), torch.from_numpy(rgb[2:5]).permute(0, 3, 1, 2))


def test_folder_of_folders(tmp_path, folder):
    folder.rename(tmp_path / "class")
    (tmp_path / "root").mkdir()
    (tmp_path / "class").rename(tmp_path / "root" / "class")
    assert len(FolderImages(tmp_path / "root")) == 6


def test_resize_is_torch_fidelitys(folder):
    from torch_fidelity.utils import prepare_input_from_descriptor

    theirs = prepare_input_from_descriptor({"input": str(folder)}, samples_resize_and_crop=16, verbose=False)
    ours = read(FolderImages(folder, resize=16))
    assert ours.shape == (6, 3, 16, 16)
    assert torch.equal(ours, torch.stack([theirs[i] for i in range(6)]))


@pytest.mark.parametrize(
    ("mode", "note"),
    [("L", "grey, repeated"), ("RGBA", "alpha channel, which is dropped"), ("1", "black and white")],
)
def test_conversions_are_stated(folder, rgb, mode, note):
    converted = Image.fromarray(rgb[0]).convert(mode)
    converted.save(folder / "0.png")
    with pytest.warns(UserWarning, match=f"1 images of .* {note}"):
        images = read(FolderImages(folder))
    assert torch.equal(images[0], torch.from_numpy(np.array(converted.convert("RGB"))).permute(2, 0, 1))


def damage(folder):
    (folder / "1.png").write_bytes(b"damaged")
    whole = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.zeros((20, 24), dtype=np.uint16)).save(folder / "3.png")


def test_bad_files_are_named_and_counted_or_left_out(folder, rgb):
    damage(folder)
    with pytest.raises(BadInput, match=r"3 of 6 files .*1\.png .*2\.png .*3\.png \(more than 8 bits.*--skip-bad"):
        read(FolderImages(folder))
    with pytest.warns(UserWarning, match="3 of 6 files .* left out"):
        images = read(FolderImages(folder, skip_bad=True))
    assert torch.equal(images, torch.from_numpy(rgb[[0, 4, 5]]).permute(0, 3, 1, 2))


def test_sizes_that_differ_are_named(folder, rgb):
    Image.fromarray(rgb[0, :10]).save(folder / "4.png")
    with pytest.raises(BadInput, match=r"4\.png is 24x10 pixels and .*0\.png is 24x20; .*--resize 20"):
        read(FolderImages(folder))
    assert read(FolderImages(folder, resize=8)).shape == (6, 3, 8, 8)


def test_folders_without_images(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"no images in .*empty or in a folder below it; expected .*png, apng, jpg"):
        FolderImages(tmp_path / "empty")
    with pytest.raises(BadInput, match=r"there is no folder or checkpoint .*none"):
        FolderImages(tmp_path / "none")
    with pytest.raises(BadInput, match="is no folder"):
        FolderImages(tmp_path / "file")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            torch.rand(4, 3, 8, 8) * 2 - 1,
            r"float32 of shape \(4, 3, 8, 8\) from -.* to .*; expected uint8 from 0 to 255",
        ),
        (torch.zeros(4, 8, 8, dtype=torch.uint8), r"shape \(4, 8, 8\); expected \(N, C, H, W\)"),
        (torch.zeros(4, 8, 8, 3, dtype=torch.uint8), "1 or 3 channels"),
        (torch.zeros(4, 4, 8, 8, dtype=torch.uint8), "1 or 3 channels"),
    ],
)
def test_tensors_that_are_no_images(images, message):
    with pytest.raises(BadInput, match=message):
        TensorImages(images)


def test_a_source_of_another_kind():
    with pytest.raises(BadInput, match="cannot take images from dict; expected a uint8 tensor, a folder"):
        evaluate({}, torch.zeros(4, 3, 8, 8, dtype=torch.uint8), metrics="kid", extractor=torch.nn.Identity())


@pytest.mark.parametrize("batch_size", [7, 64, 256, 300, 1000])
def test_generated_images_do_not_depend_on_the_batches(batch_size):
    asked = []

    def generate(first, count):
        asked.append((first, count))
        return torch.arange(first, first + count).to(torch.uint8).view(-1, 1, 1, 1)

    images = GeneratedImages(generate, 600, "numbers")
    batches = list(images.batches(0, 600, batch_size))
    assert torch.equal(torch.cat(batches).flatten(), torch.arange(600).to(torch.uint8))
    assert asked == [(0, 256), (256, 256), (512, 88)]
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert list(images.batches(600, 600, batch_size)) == []


def test_evaluate_takes_a_function_of_noise(digits):
    seen = []

    def network(noise):
        seen.append(noise)
        return (noise[:, :1, None, None].sigmoid() * 255).to(torch.uint8).expand(-1, 1, 16, 16)

    extractor = create_extractor("classifier", labelled=digits.train_set.tensors)
    options = {"extractor": extractor, "num_fake": 300, "latent_dim": 5, "device": "cpu"}
    scores = evaluate(network, digits.train_set.tensors[0], seed=3, **options)
    assert [tuple(z.shape) for z in seen] == [(256, 5), (44, 5)]
    assert scores.protocol["n_fake"] == 300 and scores.protocol["fake"] == "samples"
    assert evaluate(network, digits.train_set.tensors[0], seed=3, **options) == scores
    assert evaluate(network, digits.train_set.tensors[0], seed=4, **options).values != scores.values

    with pytest.raises(BadInput, match="samples are float32"):
        evaluate(lambda z: z[:, :1, None, None], digits.train_set.tensors[0], **options)


def test_command_equals_torch_fidelity(digits, digit_folders, capsys, tmp_path):
    weights = trained_weights(*digits.train_set.tensors)
    # The classifier of grey images, which torch-fidelity would show colour.
    colour = tmp_path / "colour.pt"
    saved = torch.load(weights, weights_only=True)
    first = saved["state_dict"]["layers.0.weight"]
    saved["state_dict"]["layers.0.weight"] = torch.cat([first, torch.zeros_like(first), torch.zeros_like(first)], dim=1)
    saved["shape"]["channels"] = 3
    torch.save(saved, colour)
    folders = [str(digit_folders / name) for name in ("fakes", "real")]
    words = ["--extractor", "classifier", "--extractor-weights", str(colour), "--metrics", "isc,fid,kid,prc"]
    main([*folders, *words, "--isc-splits", "3", "--json", str(tmp_path / "scores.json"), "--device", "cpu"])
    out = capsys.readouterr().out
    assert "FID" in out and "60 images of" in out and "80 images of" in out
    found = json.loads((tmp_path / "scores.json").read_text())
    expected = torch_fidelity.calculate_metrics(
        input1=folders[0],
        input2=folders[1],
        cuda=False,
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        cache=False,
        verbose=False,
        save_cpu_ram=True,
        isc_splits=3,
        kid_subset_size=60,
        feature_extractor="labelled-classifier",
        feature_extractor_weights_path=str(colour),
    )
    assert found["values"]["fid"] == pytest.approx(expected["frechet_inception_distance"], rel=1e-6)
    assert found["values"]["isc"] == pytest.approx(expected["inception_score_mean"], rel=1e-6)
    assert found["values"]["kid"] == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-6, abs=1e-9)
    assert found["values"]["precision"] == expected["precision"]
    assert found["values"]["recall"] == expected["recall"]
    assert found["protocol"]["kid_subset_size"] == 60
    main([*folders, "--extractor-weights", str(weights), "--extractor", "classifier", "--json", "-", "--device", "cpu"])
    assert json.loads(capsys.readouterr().out)["protocol"]["n_fake"] == 60


def test_command_refuses_in_one_line(folder, digit_folders, capsys, tmp_path):
    for words, message in (
        ([folder, tmp_path / "none"], "there is no folder or checkpoint"),
        ([folder, folder, "--metrics", "fdi"], "metric 'fdi' is not known; choose from: isc, fid, kid, prc"),
        ([folder, folder, "--extractor", "incpetion"], "choose one of: classifier, inception"),
        ([folder, folder, "--extractor-weights", "none.pth"], "there is no weights file none.pth"),
        ([folder, folder, "--json", "none/scores.json"], "there is no folder"),
        ([folder, folder, "--extractor", "classifier"], "needs labelled images"),
    ):
        with pytest.raises(SystemExit) as stop, warnings.catch_warnings():
            main(["--device", "cpu", "--isc-splits", "2", *map(str, words)])
        captured = capsys.readouterr()
        assert stop.value.code == 2
        lines = [line for line in captured.err.splitlines() if not line.startswith("warning: ")]
        assert len(lines) == 1 and message in lines[0] and not captured.out
