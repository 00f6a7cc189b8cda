"""Files of arrays and tensors."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_convnorm.data import Arrays
from gan_convnorm.errors import BadInput

RANDOM = np.random.RandomState(0)
COLOUR = RANDOM.randint(0, 256, (10, 8, 8, 3), dtype=np.uint8)
EXPECTED = torch.from_numpy(COLOUR).permute(0, 3, 1, 2)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 3])


def loaded(path, **options):
    data = Arrays(str(path), **options)
    data.setup()
    return data


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels"), ("x_train", "y_train")])
def test_npz(tmp_path, save, names):
    save(tmp_path / "a b.npz", **{names[0]: COLOUR, names[1]: LABELS.astype(np.uint8)[:, None]})
    data = loaded(tmp_path / "a b.npz")
    images, labels = data.train_set.tensors
    assert torch.equal(images, EXPECTED) and images.is_contiguous()
    assert labels.tolist() == LABELS.tolist() and labels.dtype == torch.int64
    assert (data.resolution, data.channels, data.num_classes, data.name, data.test_set) == (8, 3, 4, "a-b", None)


def test_test_split_and_grey_images(tmp_path):
    np.savez(tmp_path / "d.npz", x_train=COLOUR[..., 0], y_train=LABELS, x_test=COLOUR[:3, ..., 1], y_test=LABELS[:3])
    data = loaded(tmp_path / "d.npz")
    assert torch.equal(data.train_set.tensors[0], EXPECTED[:, :1])
    assert torch.equal(data.test_set.tensors[0], EXPECTED[:3, 1:2])
    assert data.test_set.tensors[1].tolist() == [0, 1, 2]
    assert (data.channels, data.num_classes) == (1, 4)


@pytest.mark.parametrize(
    "content",
    [EXPECTED, (EXPECTED, torch.from_numpy(LABELS)), {"images": EXPECTED, "labels": torch.from_numpy(LABELS)}],
    ids=["tensor", "pair", "dictionary"],
)
def test_tensors(tmp_path, content):
    torch.save(content, tmp_path / "d.pt")
    data = loaded(tmp_path / "d.pt")
    assert torch.equal(data.train_set.tensors[0], EXPECTED)
    assert data.num_classes == (None if isinstance(content, torch.Tensor) else 4)
    assert len(data.train_set.tensors) == (1 if data.num_classes is None else 2)


def test_another_resolution_is_made_by_resizing_and_cropping(tmp_path):
    wide = np.zeros((2, 8, 16, 3), dtype=np.uint8)
    wide[:, :, 4:12] = 200  # all that is left
    np.savez(tmp_path / "d.npz", x=wide)
    assert loaded(tmp_path / "d.npz").resolution == 8
    assert (loaded(tmp_path / "d.npz").train_set.tensors[0] == 200).all()
    # 8x16 -> 4x8, antialiased: the edge between black and 200 reaches one pixel to each side.
    small = loaded(tmp_path / "d.npz", resolution=4).train_set.tensors[0]
    assert small.shape == (2, 3, 4, 4)
    assert (small[..., 1:3] == 200).all() and (small[..., [0, 3]] == 175).all()


def test_files_that_hold_no_images(tmp_path):
    def refused(message, name="d.npz", **arrays):
        path = tmp_path / name
        if arrays:
            np.savez(path, **arrays)
        with pytest.raises(BadInput, match=message) as error:
            loaded(path)
        assert "\n" not in str(error.value)

    refused(r"there is no file .*none\.npz; expected an \.npz, \.npy or \.pt", "none.npz")
    refused(r"holds pixels uint8\[10, 8, 8, 3\]; expected images in one of the arrays images, x,", pixels=COLOUR)
    refused(r"x of .* is float64 of shape \(10, 8, 8, 3\) from 0 to 1; expected uint8 from 0 to 255", x=COLOUR / 255)
    refused(r"of shape \(10, 8, 8, 5\); expected \(N, H, W\)", x=COLOUR.repeat(2, axis=3)[..., :5])
    refused(r"of shape \(10, 3, 8, 3\); expected", x=COLOUR[:, :3])  # which axis has the colours?
    refused(r"of shape \(0, 8, 8, 3\); expected", x=COLOUR[:0])
    refused(r"shape \(9,\); expected one label for each of the 10 x: \(10,\)", x=COLOUR, y=LABELS[:9])
    refused("y of .* are int64 from -1; expected whole numbers from 0", x=COLOUR, y=LABELS - 1)
    refused("y of .* are float64; expected whole numbers", x=COLOUR, y=LABELS / 1.0)
    refused("test labels up to 4", x=COLOUR, y=LABELS, x_test=COLOUR, y_test=LABELS + 1)
    refused("3 channels and test images of 1", x=COLOUR, x_test=COLOUR[..., 0])
    refused("y of .* holds Python objects, which could run code", x=COLOUR, y=np.array([{}] * 10))
    np.savez(tmp_path / "d.npz", x=COLOUR)
    whole = (tmp_path / "d.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    refused("half.npz cannot be read .*BadZipFile", "half.npz")
    (tmp_path / "half.pt").write_bytes(whole[: len(whole) // 2])
    refused("half.pt cannot be read", "half.pt")
    torch.save({"images": slice}, tmp_path / "code.pt")
    refused(r"code\.pt holds Python objects \(slice\), which could run code .*; expected tensors and plain", "code.pt")
    torch.save(3, tmp_path / "number.pt")
    refused("number.pt holds a int; expected a tensor", "number.pt")
    with pytest.raises(BadInput, match=r"need a path \(--data.path FILE\)"):
        Arrays()


def test_damaged_pixels_are_refused_at_setup(tmp_path):
    np.savez(tmp_path / "d.npz", x=COLOUR.repeat(10, axis=0))
    content = bytearray((tmp_path / "d.npz").read_bytes())
    content[15_000] ^= 255  # beyond what is read for the header
    (tmp_path / "d.npz").write_bytes(content)
    data = Arrays(str(tmp_path / "d.npz"))
    with pytest.raises(BadInput, match=r"x of .*d\.npz cannot be read .*CRC"):
        data.setup()


@pytest.mark.parametrize(
    ("labels", "missing"),
    [
        (LABELS + 1, "4 different numbers from 1 to 4, and class 0 has no image"),
        (LABELS * 2, "4 different numbers from 0 to 6, and class 1 has no image"),
        (np.where(LABELS == 3, 2_000_000_000, LABELS), "from 0 to 2000000000, and class 3 has no image"),
        (np.full(10, 2**40), "1 different numbers from 1099511627776 to 1099511627776, and class 0 has no image"),
    ],
    ids=["from 1", "gaps", "2e9", "2**40"],
)
def test_every_class_has_images(tmp_path, labels, missing):
    """Else a share of the fakes is of classes that nothing was learned of, or the networks ask for 512 GB."""
    np.savez(tmp_path / "d.npz", x=COLOUR, y=labels)
    torch.save({"x": EXPECTED, "y": torch.from_numpy(labels)}, tmp_path / "d.pt")
    for name in ("d.npz", "d.pt"):
        with pytest.raises(BadInput, match=rf"{missing}; .*numpy\.unique\(labels, return_inverse=True\)\[1\]"):
            Arrays(str(tmp_path / name))
    np.savez(tmp_path / "d.npz", x=COLOUR, y=np.unique(labels, return_inverse=True)[1])
    assert Arrays(str(tmp_path / "d.npz")).num_classes == len(np.unique(labels))


def test_labels_in_a_list(tmp_path):
    torch.save((EXPECTED, LABELS.tolist()), tmp_path / "pair.pt")
    torch.save({"images": EXPECTED, "labels": LABELS.tolist()}, tmp_path / "dictionary.pt")
    for name in ("pair.pt", "dictionary.pt"):
        assert loaded(tmp_path / name).train_set.tensors[1].tolist() == LABELS.tolist()
    for labels in ([0.5] * 10, ["cat"] * 10, [True] * 10, [[0]] * 10, [2**70] * 10, "cats", 3):
        torch.save((EXPECTED, labels), tmp_path / "pair.pt")
        with pytest.raises(BadInput, match=r"labels of .*pair\.pt is a \w+; expected a tensor, or a list of whole"):
            loaded(tmp_path / "pair.pt")


def test_a_list_that_is_no_pair(tmp_path):
    for content, words in (
        ((EXPECTED,) * 3, "a tuple of 3"),
        ([EXPECTED[0]] * 10, "a list of 10"),
        ((), "a tuple of 0"),
    ):
        torch.save(content, tmp_path / "d.pt")
        with pytest.raises(BadInput, match=rf"d\.pt holds {words}; expected a tensor, a pair \(images, labels\) or"):
            loaded(tmp_path / "d.pt")


def test_files_from_before_torch_1_6(tmp_path):
    """They are no zip archives, and cannot be memory-mapped."""
    torch.save({"images": EXPECTED}, tmp_path / "d.pt", _use_new_zipfile_serialization=False)
    assert torch.equal(loaded(tmp_path / "d.pt").train_set.tensors[0], EXPECTED)


class Code:
    """Runs a command where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["key", "labels"])
def test_nothing_runs_and_torchs_advice_reaches_nobody(tmp_path, place, zipped):
    content = {"images": EXPECTED, place: Code(tmp_path / "ran")}
    torch.save(content, tmp_path / "d.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(BadInput, match=r"d\.pt holds Python objects \(\S+\), which could run code when it") as error:
        loaded(tmp_path / "d.pt")
    for word in ("weights_only", "Re-running", "\n"):
        assert word not in str(error.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"<html></html>", "an HTML page"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\0\1\2", "no file of"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path, content, kind):
    (tmp_path / "d.pt").write_bytes(content)
    with pytest.raises(BadInput, match=rf"d\.pt cannot be read: it looks like {kind}"):
        loaded(tmp_path / "d.pt")


def test_an_archive_under_the_name_of_an_array_is_said_and_closed(tmp_path, monkeypatch):
    np.savez(tmp_path / "d.npz", images=COLOUR)
    (tmp_path / "d.npz").rename(tmp_path / "d.npy")
    opened, load = [], np.load
    monkeypatch.setattr(np, "load", lambda *a, **k: opened.append(load(*a, **k)) or opened[-1])
    with pytest.raises(BadInput, match=r"d\.npy cannot be read \(.*it is an \.npz archive\)"):
        loaded(tmp_path / "d.npy")
    assert opened[-1].fid is None


def test_a_pipe_is_no_file(tmp_path):
    for name in ("d.npz", "d.pt", "d.npy"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(BadInput, match=rf"there is no file .*{name}"):
            loaded(tmp_path / name)


def test_entries_that_are_not_used_are_named(tmp_path):
    np.savez(tmp_path / "d.npz", images=COLOUR, x=COLOUR, mean=np.zeros(3), labels=LABELS)
    with zipfile.ZipFile(tmp_path / "d.npz", "a") as archive:
        archive.writestr("readme.txt", "by hand")
    with pytest.warns(UserWarning, match=r"d\.npz: these entries are not used: x, mean, readme\.txt"):
        assert loaded(tmp_path / "d.npz").num_classes == 4
    torch.save({"images": EXPECTED, "classes": ["a", "b"], "seed": 3}, tmp_path / "d.pt")
    with pytest.warns(UserWarning, match=r"d\.pt: these entries are not used: classes, seed"):
        loaded(tmp_path / "d.pt")
    np.savez(tmp_path / "d.npz", pixels=COLOUR)
    with pytest.raises(
        BadInput, match=r"holds pixels uint8\[10, 8, 8, 3\]; expected images in one of the arrays images"
    ):
        loaded(tmp_path / "d.npz")


def test_npy(tmp_path):
    np.save(tmp_path / "d.npy", COLOUR)
    data = loaded(tmp_path / "d.npy")
    assert torch.equal(data.train_set.tensors[0], EXPECTED) and data.num_classes is None
    np.save(tmp_path / "d.npy", np.array([{}] * 3), allow_pickle=True)
    with pytest.raises(BadInput, match=r"d\.npy cannot be read"):
        loaded(tmp_path / "d.npy")
