"""Vectors of images from a CSV file."""

import pytest
import torch
from PIL import Image

from gan_convnorm.data import Folder
from gan_convnorm.data.vectors import Vectors
from gan_convnorm.errors import BadInput

GOOD = "file,smiling,age\na/1.png,1,0.25\na/2.png,0,-3e2\nb/3.png, 0.5 ,7\n"


def refused(path, text, message):
    path.write_text(text)
    with pytest.raises(BadInput, match=message) as caught:
        Vectors(path)
    assert "\n" not in str(caught.value)


def test_a_folder_has_vectors_in_place_of_classes(tmp_path, own_cache):
    for number, name in enumerate(("a/1.png", "a/2.png", "b/3.png")):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "photos" / name)
    (tmp_path / "labels.csv").write_text(GOOD)
    data = Folder(str(tmp_path / "photos"), 8, test_fraction=0.3, labels=str(tmp_path / "labels.csv"))
    data.setup()
    assert (data.num_classes, data.conditions) == (None, ["smiling", "age"])
    expected = torch.tensor([[1, 0.25], [0, -300], [0.5, 7]])
    for split in (data.train_set, data.test_set):
        images, vectors = split.tensors
        assert vectors.dtype == torch.float32 and len(vectors) == len(images) > 0
        assert torch.equal(vectors, expected[images[:, 0, 0, 0].long()])
    (tmp_path / "labels.csv").write_text(GOOD.replace("a/2.png", "a/9.png"))
    short = Folder(str(tmp_path / "photos"), 8, test_fraction=0, labels=str(tmp_path / "labels.csv"))
    with pytest.raises(BadInput, match=r"labels\.csv has no line for 1 of 3 images, such as a/2\.png; expected every"):
        short.setup()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: found ''; expected file, then another name for each number"),
        ("smiling,age\n", "line 1: found 'smiling,age'; expected file, then"),
        ("file\n", "line 1: found 'file'; expected file, then"),
        ("file,a,a\n", "line 1: found 'file,a,a'; expected file, then"),
        ("file,a,\n", "line 1: found 'file,a,'; expected file, then"),
        (GOOD.replace("-3e2", "old"), "line 3: age is 'old'; expected a finite number"),
        (GOOD.replace("-3e2", "nan"), "line 3: age is 'nan'; expected a finite number"),
        (GOOD.replace("-3e2", "1e99"), "line 3: age is '1e99'; expected a finite number"),
        (GOOD.replace("-3e2", ""), "line 3: age is ''; expected a finite number"),
        (GOOD.replace("-3e2", "__import__('os')"), "line 3: age is .*; expected a finite number"),
        (GOOD.replace(",-3e2", ""), "line 3: found 1 numbers; expected 2: smiling, age"),
        (GOOD.replace("-3e2", "1,2"), "line 3: found 3 numbers; expected 2: smiling, age"),
        (GOOD.replace("b/3", "a/1"), "line 4: a/1.png has had a line before"),
        ("file,a\n\n\nx.png,y\n", "line 4: a is 'y'"),
    ],
)
def test_a_bad_file_is_one_line_with_its_line(tmp_path, text, message):
    refused(tmp_path / "labels.csv", text, rf"labels\.csv.*{message}")


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(BadInput, match=r"labels\.csv"):
        Vectors(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\0\1")
    with pytest.raises(BadInput, match=r"labels\.csv"):
        Vectors(tmp_path / "labels.csv")
    with pytest.raises(BadInput, match="is a folder; expected a CSV file"):
        Vectors(tmp_path)


def test_a_file_of_many_images_and_of_a_spreadsheet_is_read(tmp_path):
    lines = "".join(f"faces/{number:06d}.jpg,1,0.3,-1\n" for number in range(50_000))  # more than a mebibyte
    (tmp_path / "labels.csv").write_bytes(b"\xef\xbb\xbf" + f"file,a,b,c\n{lines}".encode())  # with its mark of UTF-8
    vectors = Vectors(tmp_path / "labels.csv")
    assert vectors.names == ["a", "b", "c"]
    assert vectors.of(["faces/049999.jpg"]).tolist() == [[1, pytest.approx(0.3), -1]]
