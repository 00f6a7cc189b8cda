"""Images of a folder: how they are cropped, converted and turned, and files that are bad."""

import warnings

import numpy as np
import pytest
from picture_folders import damaged_folder, loaded, values, write
from PIL import Image

from gan_convnorm.data import picture_cache
from gan_convnorm.errors import BadInput

pytestmark = pytest.mark.usefixtures("own_cache")


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


def test_a_class_of_bad_files_alone_is_refused(tmp_path):
    for number in range(6):
        write(tmp_path / "pets" / "ac"[number % 2] / f"{number}.png", number)
    (tmp_path / "pets/b").mkdir()
    (tmp_path / "pets/b/9.png").write_bytes(b"damaged")
    with (
        pytest.warns(UserWarning, match="1 of 7 files"),
        pytest.raises(BadInput, match=r"no file of the class b in .* can be read"),
    ):
        loaded(tmp_path / "pets", test_fraction=0, skip_bad=True)


def test_a_folder_of_bad_files_alone_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/1.png").write_bytes(b"damaged")
    with pytest.raises(BadInput, match="1 of 1 files"):
        loaded(tmp_path / "images", test_fraction=0, skip_bad=True)
