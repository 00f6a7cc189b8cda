"""Decoded images are kept in the cache folder, and made again when anything has changed."""

import json
import multiprocessing
import os
import shutil
import warnings

import numpy as np
import pytest
import torch
from picture_folders import damaged_folder, loaded, values, write

from gan_convnorm.data import picture_decoding
from gan_convnorm.errors import BadInput


@pytest.fixture(autouse=True)
def cache(own_cache):
    return own_cache


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
