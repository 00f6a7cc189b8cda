"""Images from tensors, folders, checkpoints and functions; what is wrong with them is said in one line."""

import json
import multiprocessing
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch_fidelity_scores import assert_same, torch_fidelity_scores

from gan_convnorm.cli.score import main
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import FolderImages, GeneratedImages, TensorImages, evaluate
from gan_convnorm.fidelity.classifier import trained_weights
from gan_convnorm.fidelity.images import as_images


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


def test_a_large_folder_is_read_in_order_and_starts_no_process(tmp_path):
    """On macOS and Windows a script without a main guard cannot start a process."""
    for number in range(1001):
        Image.new("RGB", (2, 2), (number // 256, number % 256, 0)).save(tmp_path / f"{number:04}.bmp")
    read = []
    for batch in FolderImages(tmp_path).batches(0, 1001, 100):
        assert not multiprocessing.active_children()
        read += [256 * int(image[0, 0, 0]) + int(image[1, 0, 0]) for image in batch]
    assert read == list(range(1001))


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
    with pytest.raises(
        BadInput, match=r"4\.png is 10x24 pixels \(height x width\) and .*0\.png is 20x24; .*--resize 20"
    ):
        read(FolderImages(folder))
    assert read(FolderImages(folder, resize=8)).shape == (6, 3, 8, 8)


def test_folders_without_images(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"no images in .*empty or in a folder below it; expected files such as"):
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
        (torch.zeros(4, 8, 8, 3, dtype=torch.uint8), "1, 3 or 4 channels"),
        (torch.zeros(4, 5, 8, 8, dtype=torch.uint8), "1, 3 or 4 channels"),
    ],
)
def test_tensors_that_are_no_images(images, message):
    with pytest.raises(BadInput, match=message):
        TensorImages(images)


def test_a_source_of_another_kind():
    with pytest.raises(BadInput, match="cannot take images from dict; expected a uint8 tensor, a folder"):
        evaluate({}, torch.zeros(4, 3, 8, 8, dtype=torch.uint8), metrics="kid", extractor=torch.nn.Identity())
    with pytest.raises(BadInput, match="metrics are 3; expected names separated by commas, of: isc, fid, kid, prc"):
        evaluate(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), metrics=3)


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


@pytest.mark.slow
def test_evaluate_takes_a_function_of_noise(digits, extractor):
    seen = []

    def network(noise):
        seen.append(noise)
        return (noise[:, :1, None, None].sigmoid() * 255).to(torch.uint8).expand(-1, 1, 16, 16)

    options = {"extractor": extractor, "num_fake": 300, "latent_dim": 5, "device": "cpu"}
    scores = evaluate(network, digits.train_set.tensors[0], seed=3, **options)
    assert [tuple(z.shape) for z in seen] == [(256, 5), (44, 5)]
    assert scores.protocol["n_fake"] == 300 and scores.protocol["fake"] == "samples"
    assert evaluate(network, digits.train_set.tensors[0], seed=3, **options) == scores
    assert evaluate(network, digits.train_set.tensors[0], seed=4, **options).values != scores.values

    with pytest.raises(BadInput, match="samples are float32"):
        evaluate(lambda z: z[:, :1, None, None], digits.train_set.tensors[0], **options)


@pytest.mark.slow
def test_command_equals_torch_fidelity(digits, digit_folders, capsys, tmp_path):
    weights = trained_weights(*digits.train_set.tensors)
    # The classifier of grey images, which torch-fidelity would show colour.
    images, labels = digits.train_set.tensors
    colour = trained_weights(images.expand(-1, 3, -1, -1).contiguous(), labels)
    folders = [str(digit_folders / name) for name in ("fakes", "real")]
    words = ["--extractor", "classifier", "--extractor-weights", str(colour), "--metrics", "isc,fid,kid,prc"]
    main([*folders, *words, "--isc-splits", "3", "--json", str(tmp_path / "scores.json"), "--device", "cpu"])
    out = capsys.readouterr().out
    assert "FID" in out and "60 images of" in out and "80 images of" in out
    found = json.loads((tmp_path / "scores.json").read_text())
    expected = torch_fidelity_scores(*folders, "labelled-classifier-2", colour, isc_splits=3, kid_subset_size=60)
    assert_same(found["values"], expected)
    assert found["values"]["kid"] == pytest.approx(expected["kid"], rel=1e-6, abs=1e-9)
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
    ):
        with pytest.raises(SystemExit) as stop, warnings.catch_warnings():
            main(["--device", "cpu", "--isc-splits", "2", *map(str, words)])
        captured = capsys.readouterr()
        assert stop.value.code == 2
        lines = [line for line in captured.err.splitlines() if not line.startswith("warning: ")]
        assert len(lines) == 1 and message in lines[0] and not captured.out


@pytest.fixture(scope="module")
def digit_arrays(digit_folders, digits):
    """The same images as the folders', in the forms that people have."""
    for split, images, count in (("fakes", digits.test_set, 60), ("real", digits.train_set, 80)):
        grey = images.tensors[0][:count, 0].numpy()
        colour = np.repeat(grey[..., None], 3, axis=3)
        np.save(digit_folders / f"{split}-grey.npy", grey)
        np.save(digit_folders / f"{split}-last.npy", colour)
        np.save(digit_folders / f"{split}-first.npy", np.ascontiguousarray(colour.transpose(0, 3, 1, 2)))
        np.savez(digit_folders / f"{split}.npz", images=colour, labels=np.zeros(count, int))
        np.savez(digit_folders / f"{split}-nameless.npz", colour)
    return digit_folders


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of", "ignore:.* are grey", "ignore:.*entries are not used")
@pytest.mark.parametrize("form", ["-grey.npy", "-last.npy", "-first.npy", ".npz", "-nameless.npz"])
def test_arrays_score_as_the_folder_of_their_images(extractor, digit_arrays, form):
    options = {"extractor": extractor, "isc_splits": 3, "device": "cpu"}
    expected = evaluate(digit_arrays / "fakes", digit_arrays / "real", **options)
    found = evaluate(digit_arrays / f"fakes{form}", digit_arrays / f"real{form}", **options)
    assert found.values == expected.values
    assert found.protocol["fake"] == f"images of {digit_arrays}/fakes{form}" and found.protocol["n_real"] == 80


def test_arrays_are_resized_as_files_are(tmp_path, folder, rgb):
    np.savez(tmp_path / "d.npz", x=rgb)
    assert torch.equal(read(as_images(tmp_path / "d.npz", resize=16)), read(FolderImages(folder, resize=16)))
    # The protocol says so, of fakes and of real images.
    for images in (as_images(tmp_path / "d.npz", resize=16), FolderImages(folder, resize="16x8")):
        assert images.name.endswith(("d.npz resized to 16", f"{folder} resized to 16x8"))
    with pytest.raises(BadInput, match=r"resize is 0, and must be from 1 to 8192 pixels \(--resize\)"):
        as_images(tmp_path / "d.npz", resize=0)


def test_arrays_that_are_no_images(tmp_path, rgb):
    class Code:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    for name, content, message in (
        ("float.npy", rgb / 255, r"images of .*float\.npy is float64 of shape .* from 0 to 1; expected uint8"),
        ("wide.npy", rgb[..., [0, 1, 2, 0, 1]], r"of shape \(6, 20, 24, 5\); expected \(N, H, W\), \(N, H, W, C\)"),
        ("one.npy", rgb[0, 0, 0], r"of shape \(3,\); expected \(N, H, W\)"),
        ("none.npy", rgb[:0], r"of shape \(0, 20, 24, 3\); expected"),
        ("code.npy", np.array([Code()]), r"code\.npy cannot be read"),
        ("code.npz", {"images": np.array([Code()])}, r"images of .* is object of shape \(1,\); expected uint8"),
        ("other.npz", {"pixels": rgb}, r"other\.npz holds pixels uint8\[6, 20, 24, 3\]; expected images in one of"),
    ):
        save = np.savez if isinstance(content, dict) else np.save
        save(tmp_path / name, **content) if isinstance(content, dict) else save(tmp_path / name, content)
        with pytest.raises(BadInput, match=message) as error:
            as_images(tmp_path / name)
        assert "\n" not in str(error.value)
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(BadInput, match=r"text\.npz cannot be read \(BadZipFile"):
        as_images(str(tmp_path / "text.npz"))
    with pytest.raises(BadInput, match=r"there is no file .*gone\.npy; expected an \.npz, \.npy or \.pt file"):
        as_images(str(tmp_path / "gone.npy"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_command_takes_what_predict_writes(digits, digit_folders, capsys, tmp_path):
    from gan_convnorm.callbacks.image_writer import ImageWriter

    writer, trainer = ImageWriter(tmp_path, "npz", 10), SimpleNamespace(is_global_zero=True)
    images, labels = (t[:60] for t in digits.test_set.tensors)
    writer.on_predict_batch_end(trainer, None, images, {"first": 0, "labels": labels}, 0)
    writer.on_predict_end(trainer, None)
    options = ["--device", "cpu", "--isc-splits", "3", "--json", "-", "--extractor", "classifier"]
    options += ["--extractor-weights", str(trained_weights(*digits.train_set.tensors))]
    found = []
    for fakes in (tmp_path / "images.npz", digit_folders / "fakes"):
        capsys.readouterr()
        with warnings.catch_warnings():
            main([str(fakes), str(digit_folders / "real"), *options])
        found.append(json.loads(capsys.readouterr().out)["values"])
    assert found[0] == found[1]


@pytest.fixture
def command(digits, digit_folders, capsys):
    """Runs the command on digits; its exit status and the lines of standard error that are no warnings."""
    weights = str(trained_weights(*digits.train_set.tensors))

    def run(*words):
        capsys.readouterr()
        options = ["--device", "cpu", "--isc-splits", "3", "--extractor", "classifier", "--extractor-weights", weights]
        status = 0
        with warnings.catch_warnings():
            try:
                main([str(digit_folders / "fakes"), str(digit_folders / "real"), *options, *words])
            except SystemExit as stop:
                status = stop.code
        lines = capsys.readouterr().err.splitlines()
        return status, [line for line in lines if not line.startswith("warning: ")]

    return run


@pytest.mark.slow
def test_json_replaces_its_own_files_alone(command, tmp_path, monkeypatch):
    output = tmp_path / "scores.json"
    assert command("--json", str(output)) == (0, [])
    first = output.read_text()
    output.write_text(first.replace('"n_fake": 60', '"n_fake": 1'))
    assert command("--json", str(output)) == (0, [])
    assert output.read_text() == first

    monkeypatch.setattr(sys.modules["gan_convnorm.fidelity.evaluate"], "evaluate", None)  # refused before any work
    for content in (b"my notes", b"{}", b'{"values": 1}', b"[]", b"\xff\xfe", first.encode() * 2, b"[" * 100_000):
        output.write_bytes(content)
        status, lines = command("--json", str(output))
        assert (status, lines) == (
            2,
            [
                f"error: {output} exists and was not written by this command; give another name, or --overwrite to "
                "replace it"
            ],
        )
        assert output.read_bytes() == content
    status, lines = command("--json", str(tmp_path), "--overwrite")
    assert status == 2 and "is a folder" in lines[0]


def test_json_overwrites_where_that_is_asked_for(command, tmp_path):
    output = tmp_path / "scores.json"
    output.write_text("my notes")
    assert command("--json", str(output), "--overwrite") == (0, [])
    assert set(json.loads(output.read_text())) == {"values", "protocol", "ranks"}


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--batch-size", "0", "batch_size is 0, and must be 1 or more"),
        ("--isc-splits", "0", "isc_splits is 0, and must be 1 or more (--isc-splits)"),
        ("--num-fake", "0", "--num-fake is 0, and must be from 1 to below 2**63"),
        ("--num-fake", "-3", "--num-fake is -3, and must be from 1 to below 2**63"),
        ("--seed", "-1", "--seed is -1, and must be from 0 to below 2**63"),
        ("--resize", "0", "resize is 0, and must be from 1 to 8192 pixels (--resize)"),
        ("--seed", str(2**67), "and must be from 0 to below 2**63"),
        ("--resize", "1000000", "resize is 1000000, and must be from 1 to 8192 pixels (--resize)"),
        ("--device", "tpu", "the device 'tpu' is not here (--device); there are: cpu"),
        ("--device", "cpu:8", "the device 'cpu:8' is not here (--device); there are: cpu"),
        ("--device", "meta", "the device 'meta' is not here (--device); there are: cpu"),
        ("--device", "cuda:99", "the device 'cuda:99' is not here (--device); there are: cpu"),
        ("--kid-subset-size", "0", "kid_subset_size is 0, and must be 2 or more"),
        ("--kid-subset-size", "1", "kid_subset_size is 1, and must be 2 or more"),
        ("--kid-subset-size", "-5", "kid_subset_size is -5, and must be 2 or more"),
        ("--batch-size", "many", "argument --batch-size: invalid int value: 'many'"),
        ("--nothing", "1", "unrecognized arguments: --nothing 1"),
    ],
)
def test_numbers_that_cannot_be_are_refused_in_one_line(command, monkeypatch, flag, value, message):
    monkeypatch.setattr(sys.modules["gan_convnorm.fidelity.evaluate"], "create_extractor", None)  # before any work
    status, lines = command(flag, value)
    assert status == 2 and len(lines) == 1 and message in lines[0]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"WORLD_SIZE": "2"},
            "has WORLD_SIZE=2 and no RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT: another job has left",
        ),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost"}, "and no LOCAL_RANK, MASTER_PORT: another job"),
        ({"WORLD_SIZE": "many"}, "WORLD_SIZE=many; expected a number of processes"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE=0; expected a number of processes"),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE=; expected a number of processes"),
    ],
)
def test_variables_of_another_job_are_named(command, monkeypatch, environment, message):
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("torch.distributed.init_process_group", None)  # it would wait
    status, lines = command()
    assert status == 2 and len(lines) == 1 and message in lines[0]


@pytest.mark.parametrize("channels", [(1, 3), (3, 1)])
def test_images_of_another_size_are_refused_whatever_their_channels(channels):
    """Grey images read as RGB, and the other way round, are converted; their size is looked at first."""
    torch.manual_seed(0)
    real = torch.randint(256, (40, 1, 8, 8), dtype=torch.uint8).expand(-1, channels[0], -1, -1)
    fake = torch.randint(256, (40, 1, 9, 9), dtype=torch.uint8).expand(-1, channels[1], -1, -1)
    with pytest.raises(BadInput, match=r"the images are 9x9 pixels .* and the classifier was trained on 8x8"):
        evaluate(TensorImages(fake), TensorImages(real), metrics="fid", extractor="classifier")
