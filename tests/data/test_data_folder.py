"""Folders of images: their layouts, classes and splits."""

import pytest
import torch
from picture_folders import loaded, values, write

from gan_convnorm.data import Folder
from gan_convnorm.errors import BadInput

pytestmark = pytest.mark.usefixtures("own_cache")


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


@pytest.mark.parametrize("seed", range(8))
def test_a_class_s_only_image_trains(tmp_path, seed):
    for number in range(5):
        write(tmp_path / "pets/cat" / f"{number}.png", number)
    write(tmp_path / "pets/dog/9.png", 9)
    data = loaded(tmp_path / "pets", split_seed=seed)
    assert (9, 1) in values(data.train_set) and len(values(data.test_set)) == 1


def test_nothing_can_be_held_out_of_single_images(tmp_path):
    for name in ("cat", "dog"):
        write(tmp_path / "pets" / name / "1.png")
    with pytest.raises(BadInput, match=r"each of the 2 classes has one image, .*--data.test_fraction 0"):
        Folder(str(tmp_path / "pets"))
    assert len(loaded(tmp_path / "pets", test_fraction=0).train_set) == 2


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
    with pytest.raises(BadInput, match="the data flat have no test images"):
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
            Folder(str(tmp_path / "other/train"), **{"test_fraction": 0, **options})


def test_the_last_image_of_a_class_is_not_held_out(tmp_path):
    """A generator would be asked for a class that it has never seen."""
    for kind in range(12):
        for number in range(1 if kind % 2 else 6):
            write(tmp_path / "animals" / f"{kind:02d}" / f"{number}.png", kind)
    for seed in range(5):
        data = loaded(tmp_path / "animals", split_seed=seed, test_fraction=0.4)
        assert {label for _, label in values(data.train_set)} == set(range(12)), seed
        assert 0 < len(data.test_set) <= 17


def test_a_large_fraction_leaves_an_image_to_train_on(tmp_path):
    for number in range(2):
        write(tmp_path / "two" / f"{number}.png", number)
    data = loaded(tmp_path / "two", test_fraction=0.9)
    assert (len(data.train_set), len(data.test_set)) == (1, 1)


def test_classes_are_in_the_order_of_their_names_in_both_layouts(tmp_path):
    for number, name in enumerate(("cat", "cat (wild)", "cat-2")):
        for layout in ("plain", "split/train", "split/test"):
            write(tmp_path / layout / name / "1.png", number)
            write(tmp_path / layout / name / "2.png", number)
    for layout in ("plain", "split"):
        data = loaded(tmp_path / layout)
        assert data.label_names == ["cat", "cat (wild)", "cat-2"]
        images, labels = data.train_set.tensors
        assert images[:, 0, 0, 0].tolist() == labels.tolist()
