"""Sizes as settings name them, and images brought to them."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as tv

from gan_convnorm.errors import BadInput
from gan_convnorm.images.fitting import crop_to
from gan_convnorm.images.grid import picture_grid
from gan_convnorm.images.size import Size


@pytest.mark.parametrize(
    ("resolution", "size", "plain"),
    [
        (16, (16, 16), 16),
        ("16", (16, 16), 16),
        ("32x48", (32, 48), "32x48"),
        ("48X32", (48, 32), "48x32"),
        ("8x8", (8, 8), 8),
    ],
)
def test_a_size_is_height_by_width(resolution, size, plain):
    found = Size.of(resolution)
    assert (tuple(found), found.plain) == (size, plain)
    assert Size.of(found.plain) == found


@pytest.mark.parametrize(
    "resolution", ["", "x", "32x", "32x48x3", "a", "3.5", 3.5, True, None, "32 x 48", "٣x٤", "9" * 50]
)
def test_other_text_is_one_line(resolution):
    with pytest.raises(BadInput, match=r"resolution is .*; expected .* such as 32, or height x width, such as 32x48"):
        Size.of(resolution)


@pytest.mark.parametrize("resolution", [0, -16, "0x8", "8x-1", 8193, "8x9000"])
def test_sides_out_of_range_are_one_line(resolution):
    with pytest.raises(BadInput, match=f"resolution is {resolution}, and must be from 1 to 8192 pixels"):
        Size.of(resolution)


def test_squares_are_cropped_as_torchvision_and_torch_fidelity_do():
    rng = np.random.default_rng(0)
    for height, width in rng.integers(5, 60, size=(40, 2)):
        pixels = rng.integers(256, size=(height, width, 3), dtype=np.uint8)
        for image in (Image.fromarray(pixels), torch.from_numpy(pixels).permute(2, 0, 1)):
            side = int(rng.integers(4, 40))
            expected = tv.center_crop(tv.resize(image, side), side)
            found = crop_to(image, Size(side, side))
            assert np.array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize(
    ("shape", "size", "resized", "box"),
    [
        ((30, 50), (16, 24), (26, 16), (1, 0, 25, 16)),  # 50 x 16/30 = 26.7 columns, of which 24 remain
        ((50, 30), (16, 24), (24, 40), (0, 12, 24, 28)),  # 50 x 24/30 = 40 rows, of which 16 remain
        ((20, 30), (40, 60), (60, 40), (0, 0, 60, 40)),  # the same aspect ratio: nothing is lost
        ((30, 50), (24, 16), (40, 24), (12, 0, 28, 24)),
    ],
)
def test_other_shapes_keep_the_aspect_ratio_and_lose_as_little_as_they_can(shape, size, resized, box):
    image = Image.fromarray(np.random.default_rng(1).integers(256, size=(*shape, 3), dtype=np.uint8))
    expected = image.resize(resized, Image.Resampling.BILINEAR).crop(box)
    assert np.array_equal(np.asarray(crop_to(image, Size(*size))), np.asarray(expected))


def test_a_grid_shows_images_that_are_not_square():
    images = torch.arange(3, dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 1, 16, 32)
    picture = picture_grid(images, columns=2)
    assert picture.shape == (3, 2 * (32 + 2) + 2, 2 * (64 + 2) + 2)
    assert (picture[:, 2:34, 68:132] == 1).all() and (picture[:, 36:68, 2:66] == 2).all()
