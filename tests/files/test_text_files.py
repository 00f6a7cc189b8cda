"""Text is read from regular files of a sensible size, as UTF-8."""

import os
from pathlib import Path

import pytest

from gan_convnorm.errors import BadInput
from gan_convnorm.files.text import read_text


def fifo(path):
    os.mkfifo(path)


MADE = {
    "none": (lambda path: None, "there is no file"),
    "dead link": (lambda path: path.symlink_to("nowhere"), "there is no file"),
    "link to itself": (lambda path: path.symlink_to(path), "there is no file"),
    "folder": (Path.mkdir, "is a folder"),
    "fifo": (fifo, "is no regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
    "long": (lambda path: path.write_bytes(bytes(2**20 + 1)), "has more than 1 MiB"),
    "latin-1": (lambda path: path.write_bytes("name: é".encode("latin-1")), "is not text in UTF-8 (byte 6)"),
    "utf-16": (lambda path: path.write_bytes("name: é".encode("utf-16")), "is not text in UTF-8 (byte 0)"),
}


@pytest.mark.parametrize("make, message", MADE.values(), ids=MADE)
def test_refused_in_one_line(tmp_path, make, message):
    path = tmp_path / "a.yaml"
    make(path)
    with pytest.raises(BadInput) as found:
        read_text(path, "a study's file")
    assert str(found.value).endswith("; expected a study's file")
    assert message in str(found.value)


def test_a_name_with_a_null_character():
    with pytest.raises(BadInput, match="expected a file"):
        read_text(Path("a\x00b"), "a file")


def test_text_is_utf8(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes("name: é\r\nx: 1\n".encode())
    assert read_text(path, "a file") == "name: é\nx: 1\n"
