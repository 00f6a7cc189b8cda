"""Folders of images: layouts, pixels, bad files, the cache."""

import json
import multiprocessing
import os
import shutil
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from gan_convnorm.data import Folder, picture_cache, picture_decoding
from gan_convnorm.errors import BadInput


@pytest.fixture(autouse=True)
def cache(own_cache):
    return own_cache


def write(path, value=0, size=(12, 8), mode="RGB"):
    """An image of one colour; JPEG keeps it to a level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).convert(mode).save(path)


def values(dataset):
    """Every image's first pixel, labels beside it where there are any."""
    columns = [dataset.tensors[0][:, 0, 0, 0].tolist(), *[labels.tolist() for labels in dataset.tensors[1:]]]
    return list(zip(*columns, strict=True)) if len(columns) > 1 else columns[0]


def loaded(path, **options):
    data = Folder(str(path), **{"resolution": 8, **options})
    data.prepare_data()
    data.setup()
    return data


def test_classes_in_train_and_test(tmp_path):
    for number, path in enumerate(("train/cat/1.png", "train/ant/deep/2.png", "train/ant/1.png", "test/cat/9.png")):
        write(tmp_path / "pets" / path, number)
    (tmp_path / "pets/train/.hidden").mkdir()
    write(tmp_path / "pets/train/.hidden/1.png")
    write(tmp_path / "pets/train/ant/._1.png")
    write(tmp_path / "pets/test/ant/1.png", 5)
    data = loaded(tmp_path / "pets")
    assert values(data.train_set) == [(2, 0), (1, 0), (0, 1)]
    assert values(data.test_set) == [(5, 0), (3, 1)]
    assert data.train_set.tensors[0].dtype == torch.uint8 and data.train_set.tensors[0].shape == (3, 3, 8, 8)
    assert data.train_set.tensors[1].dtype == torch.int64
    assert (data.resolution, data.channels, data.num_classes, data.name) == (8, 3, 2, "pets")


def test_classes_and_flat_folders_hold_out_a_part(tmp_path):
    for number in range(20):
        write(tmp_path / "flat" / f"{number:02d}.png", number)
        write(tmp_path / "classes" / "ab"[number % 2] / f"{number:02d}.png", number)
    flat, classes = loaded(tmp_path / "flat"), loaded(tmp_path / "classes", test_fraction=0.25)
    assert flat.num_classes is None and len(flat.train_set.tensors) == 1
    assert len(values(flat.test_set)) == 2 and len(values(classes.test_set)) == 5
    assert sorted(values(flat.train_set) + values(flat.test_set)) == list(range(20))
    for pairs in (values(classes.train_set), values(classes.test_set)):
        assert pairs and all(label == value % 2 for value, label in pairs)
    # The same for another seed of the run, another one for another seed of the split.
    assert values(loaded(tmp_path / "flat", seed=7).test_set) == values(flat.test_set)
    others = [values(loaded(tmp_path / "flat", split_seed=seed).test_set) for seed in range(1, 5)]
    assert any(other != values(flat.test_set) for other in others)


def test_a_new_file_moves_at_most_one_other_to_another_split(tmp_path):
    for number in range(20):
        write(tmp_path / "flat" / f"{number:02d}.png", number)
    before = set(values(loaded(tmp_path / "flat", test_fraction=0.3).test_set))
    write(tmp_path / "flat" / "new.png", 99)
    after = set(values(loaded(tmp_path / "flat", test_fraction=0.3).test_set))
    assert len(before) == len(after) == 6
    assert len(before - after) <= 1


def test_a_split_that_is_not_there(tmp_path):
    write(tmp_path / "flat/1.png", 4)
    data = loaded(tmp_path / "flat", test_fraction=0)
    assert values(data.split("train")) == [4] and data.test_set is None
    with pytest.raises(BadInput, match="the data flat have no test split"):
        data.split("test")
    with pytest.raises(BadInput, match=r"one image, 1\.png, .*--data.test_fraction 0"):
        Folder(str(tmp_path / "flat"))


def test_one_folder_is_no_class_and_val_is_a_test_split(tmp_path):
    write(tmp_path / "train/all/1.png", 3)
    write(tmp_path / "val/2.png", 4)
    data = loaded(tmp_path)
    assert data.num_classes is None
    assert values(data.train_set) == [3] and values(data.test_set) == [4]


def test_layouts_that_are_refused(tmp_path):
    write(tmp_path / "mixed/1.png")
    write(tmp_path / "mixed/cats/1.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for split, names in (("train", "ab"), ("test", "ac")):
        for name in names:
            write(tmp_path / "other" / split / name / "1.png")
    for name, message in (
        ("mixed", r"holds images \(1\.png\) and folders of images \(cats\); expected one"),
        ("empty", r"no images in .*empty or in a folder below it; expected train/CLASS"),
        ("none", r"none does not exist; expected a folder of images: train/CLASS/\*\.jpg"),
        ("file", "file is no folder"),
        ("other", r"test has 2 classes \(a, c\) and .*train has 2 classes \(a, b\)"),
    ):
        with pytest.raises(BadInput, match=message):
            Folder(str(tmp_path / name))
    with pytest.raises(BadInput, match=r"need a path \(--data.path DIR\)"):
        Folder()
    for options, message in (
        ({"test_fraction": 1.0}, "test_fraction is 1"),
        ({"channels": 2}, "channels is 2"),
        ({"fit": "pad"}, "fit is 'pad'"),
        ({"resolution": 0}, "resolution is 0"),
        ({"resolution": 1_000_000}, "resolution is 1000000, and must be from 1 to 8192 pixels"),
    ):
        with pytest.raises(BadInput, match=message):
            Folder(str(tmp_path / "other/train"), **options)


def test_pixels_are_resized_and_cropped_as_stated(tmp_path):
    pixels = np.random.RandomState(0).randint(0, 256, (30, 50, 3), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    image = Image.fromarray(pixels)
    image.save(tmp_path / "images/1.png")
    found = loaded(tmp_path / "images", resolution=10, test_fraction=0).train_set.tensors[0][0]
    # The shorter side 30 -> 10, so 50 -> 16 (rounded down); then columns 3 to 13.
    expected = np.asarray(image.resize((16, 10), Image.Resampling.BILINEAR))[:, 3:13]
    assert np.array_equal(found.permute(1, 2, 0), expected)
    stretched = loaded(tmp_path / "images", resolution=10, test_fraction=0, fit="stretch").train_set.tensors[0][0]
    assert np.array_equal(stretched.permute(1, 2, 0), np.asarray(image.resize((10, 10), Image.Resampling.BILINEAR)))


@pytest.mark.parametrize(
    ("mode", "channels", "note"),
    [
        ("L", 3, "are grey, repeated to three channels"),
        ("RGBA", 3, "have an alpha channel, which is dropped"),
        ("1", 3, "are black and white"),
        ("RGB", 1, "are coloured, made grey"),
        ("L", 1, None),
        ("RGB", 3, None),
    ],
)
def test_conversions_are_stated(tmp_path, mode, channels, note):
    pixels = np.random.RandomState(0).randint(0, 256, (8, 8, 3), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    image = Image.fromarray(pixels).convert(mode)
    image.save(tmp_path / "images/1.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = loaded(tmp_path / "images", channels=channels, test_fraction=0)
    messages = [str(w.message) for w in caught if "images of" in str(w.message)]
    assert messages == ([f"1 images of {tmp_path / 'images'} {note}"] if note else [])
    expected = np.asarray(image.convert("RGB" if channels == 3 else "L")).reshape(8, 8, channels)
    assert np.array_equal(data.train_set.tensors[0][0].permute(1, 2, 0), expected)
    assert data.channels == channels


def test_images_are_turned_upright(tmp_path):
    (tmp_path / "images").mkdir()
    pixels = np.random.RandomState(0).randint(0, 256, (8, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "images/1.png", exif=exif)
    found = loaded(tmp_path / "images", test_fraction=0).train_set.tensors[0][0]
    assert np.array_equal(found.permute(1, 2, 0), np.rot90(pixels, -1))


def test_small_images_are_enlarged_with_a_warning(tmp_path):
    write(tmp_path / "images/1.png", size=(8, 7))
    with pytest.warns(UserWarning, match="1 images of .* are smaller than 8 pixels and were enlarged"):
        assert loaded(tmp_path / "images", test_fraction=0).train_set.tensors[0].shape == (1, 3, 8, 8)


def damaged_folder(folder):
    for number in range(70):
        write(folder / "ab"[number % 2] / f"{number:02d}.png", number)
    (folder / "a" / "00.png").write_bytes(b"damaged")
    whole = (folder / "b" / "69.png").read_bytes()
    (folder / "b" / "69.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.zeros((8, 8), dtype=np.uint16)).save(folder / "a" / "02.png")


def test_bad_files_are_named_and_counted_or_left_out(tmp_path, monkeypatch):
    damaged_folder(tmp_path / "images")
    with pytest.raises(
        BadInput, match=r"3 of 70 files .*00\.png .*02\.png \(more than 8 bits.*69\.png .*skip_bad"
    ) as e:
        loaded(tmp_path / "images", test_fraction=0)
    assert "\n" not in str(e.value)
    # What was decoded has been kept.
    monkeypatch.setattr(picture_cache, "decode_to_file", None)
    with pytest.warns(UserWarning, match="3 of 70 files .* are left out"):
        data = loaded(tmp_path / "images", test_fraction=0, skip_bad=True)
    good = [number for number in [*range(0, 70, 2), *range(1, 70, 2)] if number not in (0, 2, 69)]
    assert values(data.train_set) == [(number, number % 2) for number in good]


def test_a_folder_of_bad_files_alone_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/1.png").write_bytes(b"damaged")
    with pytest.raises(BadInput, match="1 of 1 files"):
        loaded(tmp_path / "images", test_fraction=0, skip_bad=True)


@pytest.fixture
def counted(monkeypatch):
    """How many pictures have been decoded."""
    count = [0]
    one = picture_decoding._one

    def counting(*args):
        count[0] += 1
        return one(*args)

    monkeypatch.setattr(picture_decoding, "_one", counting)
    return count


def test_files_are_decoded_once_until_something_changes(tmp_path, counted):
    folder = tmp_path / "images"
    for number in range(6):
        write(folder / f"{number}.png", number)
    options = {"test_fraction": 0}
    first = loaded(folder, **options)
    assert counted == [6]
    assert values(loaded(folder, **options).train_set) == values(first.train_set)
    assert counted == [6]
    loaded(folder, resolution=4, **options)
    with pytest.warns(UserWarning, match="made grey"):
        loaded(folder, channels=1, **options)
    loaded(folder, fit="stretch", **options)
    assert counted == [24]
    write(folder / "3.png", 77, size=(13, 8))
    assert values(loaded(folder, **options).train_set) == [0, 1, 2, 77, 4, 5]
    (folder / "4.png").unlink()
    assert values(loaded(folder, **options).train_set) == [0, 1, 2, 77, 5]
    assert counted == [35]
    shutil.copytree(folder, tmp_path / "copy")  # other files, though of the same names, sizes and times
    loaded(tmp_path / "copy", **options)
    assert counted == [40]


def resaved(path, change):
    """Another array in the place of the pixels, saved by NumPy."""
    pixels = np.load(path)
    with path.open("wb") as file:
        np.save(file, change(pixels), allow_pickle=True)


@pytest.mark.parametrize(
    "damage", ["short", "long", "no list", "gone", "objects", "other numbers", "other order", "other shape", "a header"]
)
def test_a_damaged_cache_is_made_again(tmp_path, cache, counted, damage):
    for number in range(6):
        write(tmp_path / "images" / f"{number}.png", number)
    expected = values(loaded(tmp_path / "images", test_fraction=0).train_set)
    ((raw,), (about,)) = (list(cache.glob(f"*.{ending}")) for ending in ("npy", "json"))
    content = raw.read_bytes()
    {
        "short": lambda: raw.write_bytes(content[:-1]),
        "long": lambda: raw.write_bytes(content + b"0"),
        "no list": lambda: about.write_text(about.read_text()[:-5]),
        "gone": raw.unlink,
        "objects": lambda: resaved(raw, lambda pixels: np.array([*pixels, None], dtype=object)),
        "other numbers": lambda: resaved(raw, lambda pixels: pixels.view(np.int8)),
        "other order": lambda: resaved(raw, np.asfortranarray),
        "other shape": lambda: resaved(raw, lambda pixels: pixels.reshape(-1, 8, 8, 3)),
        "a header": lambda: raw.write_bytes(content[:10] + b"{'(" + content[13:]),
    }[damage]()
    with pytest.warns(UserWarning, match="is damaged .* made again"):
        assert values(loaded(tmp_path / "images", test_fraction=0).train_set) == expected
    assert counted == [12]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert values(loaded(tmp_path / "images", test_fraction=0).train_set) == expected
    assert counted == [12]
    assert sorted(cache.iterdir()) == sorted([raw, about])


@pytest.mark.parametrize(
    "kind",
    ["pixels of others", "a list of others", "both of others", "other JSON", "a list", "deep JSON", "a pipe", "pipes"],
)
def test_a_cache_of_other_content_is_made_again(tmp_path, cache, kind):
    for number in range(6):
        write(tmp_path / "images" / f"{number}.png", number)
        write(tmp_path / "others" / f"{number}.png", 100 + number)
    expected = values(loaded(tmp_path / "images", test_fraction=0).train_set)
    ((raw,), (about,)) = (list(cache.glob(f"*.{ending}")) for ending in ("npy", "json"))
    loaded(tmp_path / "others", test_fraction=0)
    ((other_raw,), (other_about,)) = (set(cache.glob(f"*.{ending}")) - {raw, about} for ending in ("npy", "json"))
    if "pixels" in kind or "both" in kind:
        shutil.copy2(other_raw, raw)
    if "list of" in kind or "both" in kind:
        shutil.copy2(other_about, about)
    content = json.loads(about.read_text())
    if kind == "other JSON":
        about.write_text(json.dumps({**content, "kept": [0, 1, 2, 3, 4, 4]}))
    elif kind == "a list":
        about.write_text("[1, 2]")
    elif kind == "deep JSON":
        about.write_text("[" * 100_000)
    elif "pipe" in kind:
        for path in (about, raw)[: 1 + kind.endswith("s")]:
            path.unlink()
            os.mkfifo(path)
    with pytest.warns(UserWarning, match=r"images-.*\.npy is damaged .* made again"):
        assert values(loaded(tmp_path / "images", test_fraction=0).train_set) == expected
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert values(loaded(tmp_path / "images", test_fraction=0).train_set) == expected


def test_a_folder_in_the_place_of_the_cache_is_named(tmp_path, cache):
    write(tmp_path / "images/1.png")
    loaded(tmp_path / "images", test_fraction=0)
    (about,) = cache.glob("*.json")
    about.unlink()
    about.mkdir()
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(BadInput, match=r"images-.*\.json is a folder, in the place of a file of the cache; remove it"),
    ):
        loaded(tmp_path / "images", test_fraction=0)


def test_a_cache_that_was_copied_is_used(tmp_path, cache, counted):
    write(tmp_path / "images/1.png", 7)
    loaded(tmp_path / "images", test_fraction=0)
    (raw,) = cache.glob("*.npy")
    os.utime(raw, ns=(1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert values(loaded(tmp_path / "images", test_fraction=0).train_set) == [7]
    assert counted == [1]


def test_an_interrupted_decoding_leaves_nothing(tmp_path, cache, monkeypatch):
    damaged_folder(tmp_path / "images")
    one = picture_decoding._one

    def interrupted(pictures, index, form):
        if index == 68:
            raise KeyboardInterrupt
        return one(pictures, index, form)

    monkeypatch.setattr(picture_decoding, "_one", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loaded(tmp_path / "images", test_fraction=0)
    assert list(cache.iterdir()) == []


def test_no_space_is_said_in_one_line(tmp_path, monkeypatch):
    write(tmp_path / "images/1.png")
    monkeypatch.setattr(picture_decoding.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 100))
    with pytest.raises(BadInput, match=r"take 1.92e-07 GB in .*XDG_CACHE_HOME.*: 1e-07 GB are free"):
        loaded(tmp_path / "images", test_fraction=0)


def _load_in_process(folder, barrier, queue):
    barrier.wait()
    data = loaded(folder, test_fraction=0)
    queue.put(data.train_set.tensors[0].numpy().sum(axis=(1, 2, 3)).tolist())


def test_two_processes_may_decode_at_once(tmp_path, cache):
    for number in range(130):
        write(tmp_path / "images" / f"{number:03d}.png", number)
    context = multiprocessing.get_context("fork")  # the modules are there already
    barrier, queue = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_load_in_process, args=(tmp_path / "images", barrier, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    found = [queue.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    assert found == [[number * 3 * 64 for number in range(130)]] * 2
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".npy"]


def test_images_stay_on_disk(tmp_path, cache):
    for number in range(5):
        write(tmp_path / "images" / f"{number}.png", number)
    data = loaded(tmp_path / "images", test_fraction=0)
    assert data.train_set[torch.tensor([3, 1, 3])][0][:, 0, 0, 0].tolist() == [3, 1, 3]
    (raw,) = cache.glob("*.npy")
    with raw.open("r+b") as file:
        file.seek(-5 * 3 * 8 * 8, os.SEEK_END)
        file.write(b"\xff")
    assert values(data.train_set) == [255, 1, 2, 3, 4]
    assert json.loads(raw.with_suffix(".json").read_text())["kept"] == list(range(5))
