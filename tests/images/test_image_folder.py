"""One rule for the image files of a folder, in training and in scoring."""

import os
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_convnorm.data import Folder
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import FolderImages

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def photos(tmp_path):
    return tmp_path / "photos"


def write(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (value, value, value)).save(path, "png")


def trained(folder, **options):
    """The names below the folder that training reads, and its warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = Folder(str(folder), 8, **{"test_fraction": 0, **options})
    return sorted(data.train_files.paths), "".join(str(w.message) for w in caught)


def scored(folder):
    """The same of scoring; a file behind a link has the name of its real place."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images = FolderImages(folder)
    root = os.path.realpath(folder)
    return sorted(os.path.relpath(file, root) for file in images.files), "".join(str(w.message) for w in caught)


def both(folder, remark=""):
    """Names that both find; both warn in the same words."""
    found, said = trained(folder)
    assert scored(folder) == (found, said)
    assert (remark in said) if remark else said == ""
    return found


def refused(folder, message):
    for read in (trained, scored):
        with pytest.raises(BadInput, match=message) as error:
            read(folder)
        assert "\n" not in str(error.value)
        str(error.value).encode()


def test_hidden_files_and_folders(photos):
    for name in ("1.png", "._1.png", ".DS_Store", ".ipynb_checkpoints/1-checkpoint.png", "__MACOSX/1.png"):
        write(photos / "cats" / name)
        write(photos / "dogs" / name)
        write(photos / name.replace("1.png", "x.png")) if name != "1.png" else None
    assert both(photos) == ["cats/1.png", "dogs/1.png"]


def test_stray_pictures_beside_class_folders(photos):
    write(photos / "cats/1.png")
    write(photos / "cover.png")
    refused(photos, r"holds images \(cover\.png\) and folders of images \(cats\); expected one of them")


def test_class_folders_that_are_links(photos, tmp_path):
    for name in "ab":
        write(tmp_path / "pool" / name / "1.png")
    photos.mkdir()
    (photos / "cats").symlink_to(tmp_path / "pool/a")
    (photos / "dogs").symlink_to(tmp_path / "pool/b")
    assert trained(photos) == (["cats/1.png", "dogs/1.png"], "")
    assert scored(photos) == (["../pool/a/1.png", "../pool/b/1.png"], "")


def test_files_that_are_links_count_each(photos):
    """As torch-fidelity counts them; a store of files by content has one file for equal images."""
    write(photos / "1.png")
    (photos / "2.png").symlink_to("1.png")
    assert trained(photos) == (["1.png", "2.png"], "")
    assert scored(photos) == (["1.png", "1.png"], "")


@pytest.mark.parametrize("kind", ["above", "root", "itself", "each other", "everything"])
def test_loops_of_links_end_and_every_folder_is_read_once(photos, kind):
    names = [f"c{number:02d}" for number in range(16)]
    for name in names:
        write(photos / name / "1.png")
    if kind == "above":
        (photos / "c00/up").symlink_to("../..")
        remark = "c00/up is a link to a folder above it"
    elif kind == "root":
        (photos / "c00/up").symlink_to("..")
        remark = "c00/up is a link to "
    elif kind == "itself":
        (photos / "c00/here").symlink_to(".")
        remark = "c00/here is a link to c00, which is read already"
    elif kind == "each other":
        (photos / "c00/x").symlink_to("../c01")
        (photos / "c01/x").symlink_to("../c00")
        remark = "c00/x is a link to c01, which is read already"
    else:  # 16! ways through them
        for name in names:
            for other in names:
                (photos / name / f"to-{other}").symlink_to(f"../{other}")
        remark = "c00/to-c00 is a link to c00, which is read already"
    assert both(photos, remark) == [f"{name}/1.png" for name in names]
    with pytest.warns(UserWarning, match="which is read already|above it"):
        assert Folder(str(photos), 8, test_fraction=0).train_files.labels == tuple(range(16))


def test_special_files_are_passed_over_and_never_opened(photos, monkeypatch):
    write(photos / "1.png")
    os.mkfifo(photos / "pipe.png")
    (photos / "zero.png").symlink_to("/dev/zero")
    monkeypatch.chdir(photos)  # a socket's path has 108 bytes at most
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        found = both(photos, "pipe.png is a named pipe")
        assert both(photos, "socket.png is a socket") == both(photos, "zero.png is a device") == found == ["1.png"]


def test_a_pipe_in_the_place_of_a_listed_file_is_not_opened(photos):
    write(photos / "1.png")
    write(photos / "2.png")
    images, data = FolderImages(photos, skip_bad=True), Folder(str(photos), 8, test_fraction=0, skip_bad=True)
    (photos / "2.png").unlink()
    os.mkfifo(photos / "2.png")
    with pytest.warns(UserWarning, match=r"1 of 2 files .*2\.png \(a named pipe, not a regular file\)"):
        assert len(torch.cat(list(images.batches(0, 2, 2)))) == 1
    with pytest.warns(UserWarning, match=r"1 of 2 files .*2\.png \(a named pipe, not a regular file\)"):
        data.setup()


@pytest.mark.parametrize("gone", ["dead link", "vanished"])
def test_missing_files_are_bad_files(photos, gone):
    write(photos / "1.png")
    if gone == "dead link":
        (photos / "2.png").symlink_to("nowhere.png")
    else:
        write(photos / "2.png")

    def of_both(skip_bad):
        images, data = FolderImages(photos, skip_bad=skip_bad), Folder(str(photos), 8, test_fraction=0)
        data.skip_bad = skip_bad
        if gone == "vanished":
            (photos / "2.png").unlink(missing_ok=True)
        return (lambda: (images.digest(), list(images.batches(0, len(images), 2)))), data.setup

    for read in of_both(False):
        with pytest.raises(BadInput, match=r"1 of 2 files .*(nowhere|2)\.png \(the file is gone, or is a link to"):
            read()
    if gone == "vanished":
        write(photos / "2.png")
    for read in of_both(True):
        with pytest.warns(UserWarning, match=r"1 of 2 files .*left out: .*\(the file is gone"):
            read()


def test_names_that_are_not_utf8(photos, capsys):
    for name in (b"\xff.png", b"\xe9\xe9.png", b"ok.png"):
        write(photos / os.fsdecode(b"c\xff") / os.fsdecode(name))
        write(photos / "cats" / os.fsdecode(name))
    (photos / os.fsdecode(b"c\xff") / os.fsdecode(b"bad\xff.png")).write_bytes(b"<html>")
    data = Folder(str(photos), 8, skip_bad=True)  # holds out by a hash of the names
    assert len(data.train_files.paths) + len(data.test_files.paths) == 7
    with pytest.warns(UserWarning) as caught:
        data.setup()
        images = FolderImages(photos, skip_bad=True)
        assert len(torch.cat(list(images.batches(0, 7, 7)))) == 6
    assert images.digest()
    messages = [str(w.message) for w in caught]
    assert sum(r"bad\xff.png (looks like an HTML page)" in message for message in messages) == 2
    for text in (*messages, *data.train_files.classes, images.name):
        text.encode()  # any stream in UTF-8 takes it


def test_a_folder_whose_name_is_not_utf8_is_scored_and_trained_on(tmp_path):
    folder = tmp_path / os.fsdecode(b"d\xff")
    write(folder / "1.png")
    data = Folder(str(folder), 8, test_fraction=0)
    data.setup()
    assert (data.name, FolderImages(folder).name) == ("d-", rf"images of {tmp_path}/d\xff")
    refused(folder / os.fsdecode(b"\xfe"), r"d\\xff/\\xfe( does not exist)?")


def test_empty_class_folders_are_named(photos):
    write(photos / "cats/1.png")
    for name in ("dogs", "birds"):
        (photos / name).mkdir()
    found, said = trained(photos)
    assert found == ["cats/1.png"]
    assert said == (
        f"{photos}: empty of images: birds, dogs; cats is the only folder of images, and a single one gives no labels"
    )
    write(photos / "birds/1.png")
    assert both(photos, f"{photos}: empty of images: dogs") == ["birds/1.png", "cats/1.png"]


def test_empty_class_folders_of_a_split_are_named(photos):
    write(photos / "train/cats/1.png")
    (photos / "train/dogs").mkdir()
    assert trained(photos)[1] == (
        f"{photos}: empty of images: train/dogs; cats is the only folder of images, and a single one gives no labels"
    )


def test_other_files_are_counted_by_ending(photos):
    write(photos / "1.PNG")
    for name in ("a.txt", "b.TXT", "c.heic", "README"):
        (photos / name).write_bytes(b"")
    words = f"{photos}: 4 files were passed over (.txt 2, .heic 1, no ending 1)"
    assert both(photos, words) == ["1.PNG"]
    (photos / "1.PNG").unlink()
    refused(photos, r"there are no images in .*; .*photos: 4 files were passed over \(\.txt 2, \.heic 1, no ending 1\)")


@pytest.mark.parametrize(
    "ending", ["png", "PNG", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "gif", "tif", "tiff", "ppm"]
)
def test_endings(photos, ending):
    write(photos / f"1.{ending}")  # the content decides how it is read
    assert both(photos) == [f"1.{ending}"]
    assert (FolderImages(photos).batches(0, 1, 1).__next__() == 0).all()


@pytest.mark.parametrize("train", ["train", "Train", "TRAIN", "training", "Training"])
@pytest.mark.parametrize("test", ["test", "Test", "TESTING", "val", "Validation"])
def test_splits_by_their_names_in_any_case(photos, train, test):
    write(photos / train / "1.png", 1)
    write(photos / test / "2.png", 2)
    write(photos / "unlabeled/3.png", 3)
    with pytest.warns(UserWarning, match="folders that belong to no split are not read: unlabeled"):
        data = Folder(str(photos), 8)
    assert (data.train_files.paths, data.test_files.paths) == ((f"{train}/1.png",), (f"{test}/2.png",))
    assert data.num_classes is None
    with pytest.raises(BadInput, match=rf"holds the splits {train} and {test}; give one, such as .*photos/{train}"):
        FolderImages(photos)


def test_a_second_test_split_is_named(photos):
    for name in ("train", "test", "val"):
        write(photos / name / f"{name}.png")
    with pytest.warns(UserWarning, match="not read: val"):
        assert Folder(str(photos), 8).test_files.paths == ("test/test.png",)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train", "Train"), "holds Train and train, which name the same split; keep one"),
        (("training", "train"), "which name the same split"),
        (("train", "test", "testing"), "holds test and testing, which name the same split"),
        (("train", "val", "valid"), "holds val and valid, which name the same split"),
        (("train", "bus", "car"), r"holds train, by its name a split, beside folders of images \(bus, car\)"),
        (("Test", "cats"), r"holds Test, by its name a split, beside folders of images \(cats\)"),
        (("invalid", "valid"), r"holds valid, by its name a split, beside folders of images \(invalid\)"),
        (("train", "test", ""), r"holds images \(1\.png\) and folders of images \(test, train\)"),
    ],
)
def test_folders_that_may_be_splits_or_classes_are_refused(photos, names, message):
    for name in names:
        write(photos / name / "1.png")
    refused(photos, message)


def test_a_lone_split(photos):
    write(photos / "Test/a/1.png")
    write(photos / "Test/b/1.png")
    assert scored(photos) == (["Test/a/1.png", "Test/b/1.png"], "")
    with pytest.raises(BadInput, match=r"holds Test, by its name a test split, and no train/; .* give .*photos/Test"):
        trained(photos)
    assert trained(photos / "Test")[0] == ["a/1.png", "b/1.png"]
    (photos / "Test").rename(photos / "TRAIN")
    assert both(photos) == ["TRAIN/a/1.png", "TRAIN/b/1.png"]


def test_a_test_split_that_is_a_link_to_the_train_split(photos):
    write(photos / "train/1.png")
    write(photos / "train/2.png")
    (photos / "test").symlink_to("train")
    with pytest.warns(UserWarning, match="test is a link to train, which is read already"):
        data = Folder(str(photos), 8, test_fraction=0.5)
    assert len(data.train_files.paths) == len(data.test_files.paths) == 1  # held out, not the same twice


def test_a_folder_that_cannot_be_read_is_named(photos, monkeypatch):
    write(photos / "cats/1.png")
    write(photos / "dogs/1.png")
    scandir = os.scandir

    def locked(path):
        if str(path).endswith("dogs"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    refused(photos, r"photos/dogs cannot be read \(Permission denied\)")


def test_order_is_that_of_torch_fidelity(photos, tmp_path):
    from torch_fidelity.utils import glob_samples_paths

    for number, name in enumerate(("b/2.png", "b/10.png", "a-b/1.png", "a/Z.png", "a/x/1.png", "ä/1.png")):
        write(photos / name, number)
    write(tmp_path / "pool/0.png", 9)
    (photos / "a/linked.png").symlink_to(tmp_path / "pool/0.png")
    expected = glob_samples_paths(str(photos), True, "png", verbose=False)
    assert FolderImages(photos).files == expected
    # Training's order: classes by name, then paths, as labels have always been given.
    assert Folder(str(photos), 8, test_fraction=0).train_files.classes == ("a", "a-b", "b", "ä")


@pytest.mark.slow
def test_a_locale_that_is_not_utf8(photos):
    """The command's words reach any terminal."""
    write(photos / "é.png")
    write(photos / "è.png")
    program = Path(__file__).with_name("folder_name.py")
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, str(program), str(photos)], env=environment, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0 and done.stdout.startswith(b"images of "), done.stderr


def test_pixels_of_both_are_the_same(photos):
    pixels = np.random.RandomState(0).randint(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    photos.mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(photos / f"{number}.png")
    data = Folder(str(photos), 8, test_fraction=0)
    data.setup()
    images = FolderImages(photos)
    assert torch.equal(torch.cat(list(images.batches(0, 5, 2))), data.train_set.tensors[0])
