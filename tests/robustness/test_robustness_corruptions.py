"""Each corruption against its definition."""

import colorsys
import os
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from gan_convnorm.errors import BadInput
from gan_convnorm.robustness.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from gan_convnorm.robustness.corruptions.blur import clipped_zoom, defocus_blur, glass_blur, line_blur, zoom_blur
from gan_convnorm.robustness.corruptions.constants import CIFAR, IMAGENET, TINY_IMAGENET, constants_for
from gan_convnorm.robustness.corruptions.digital import elastic_transform, jpeg_compression, pixelate
from gan_convnorm.robustness.corruptions.folder import CorruptionFolder
from gan_convnorm.robustness.corruptions.weather import fog, grey, plasma_fractal
from gan_convnorm.robustness.results import mean_corruption_error

#: whose result does not depend on the seed
FIXED = {"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression"}


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture
def image(random):
    return random.random((16, 16, 3))


def impulse(side=17, channels=1):
    image = np.zeros((side, side, channels))
    image[side // 2, side // 2] = 1
    return image


def test_the_tables_have_fifteen_corruptions_of_five_severities():
    assert len(CORRUPTIONS) == 15
    for table in (CIFAR, TINY_IMAGENET, IMAGENET):
        assert table.keys() == CORRUPTIONS.keys()
        assert all(len(row) == 5 for row in table.values())
    # By the side of the image; an elastic transform's lengths follow it.
    assert [constants_for("gaussian_noise", 5, side) for side in (16, 32, 64, 224)] == [0.10, 0.10, 0.18, 0.38]
    assert constants_for("elastic_transform", 5, 16) == pytest.approx((1.6, 0.48, 0.48))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_image_depends_on_the_seed_and_its_number_alone(name, channels):
    images = torch.randint(0, 256, (5, channels, 16, 16), dtype=torch.uint8)
    kept = images.clone()
    for severity in (1, 5):
        result = corrupt(images, name, severity)
        assert result.shape == images.shape and result.dtype == torch.uint8
        assert torch.equal(corrupt(images[2:4], name, severity, first=2), result[2:4])
        assert torch.equal(corrupt(images, name, severity, seed=1), result) == (name in FIXED)
        assert not torch.equal(result, images)
    assert torch.equal(images, kept)


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "impulse_noise", "contrast", "brightness", "fog"])
def test_severities_grow(name):
    images = torch.randint(0, 200, (8, 3, 32, 32), dtype=torch.uint8)
    errors = [(corrupt(images, name, s).float() - images.float()).square().mean().item() for s in SEVERITIES]
    assert errors == sorted(errors) and errors[0] > 0


@pytest.mark.parametrize("severity", SEVERITIES)
def test_noise_has_its_published_moments(severity):
    # 64 x 256 values: the standard error of a deviation is 0.55%, of a share of 1% is 8%.
    images = torch.full((64, 1, 16, 16), 102, dtype=torch.uint8)
    deviation = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    gaussian = corrupt(images, "gaussian_noise", severity).double() / 255 - 0.4
    assert gaussian.std().item() == pytest.approx(deviation, rel=0.025)
    assert abs(gaussian.mean().item()) < 4 * deviation / 128
    photons = (500, 250, 100, 75, 50)[severity - 1]
    shot = corrupt(images, "shot_noise", severity).double() / 255
    assert shot.mean().item() == pytest.approx(0.4, abs=4 * (0.4 / photons) ** 0.5 / 128)
    assert shot.var().item() == pytest.approx(0.4 / photons, rel=0.05)
    amount = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    impulses = corrupt(images, "impulse_noise", severity)
    for value in (0, 255):
        assert (impulses == value).double().mean().item() == pytest.approx(
            amount / 2, abs=4 * (amount / 2) ** 0.5 / 128
        )
    assert set(impulses.unique().tolist()) == {0, 102, 255}


def test_defocus_is_a_smoothed_disk(random):
    # exp(-1 / (2 * 0.1^2)) is nothing, so the disk of radius 1.5 is nine equal pixels.
    found = defocus_blur(impulse(), (1.5, 0.1), random)[..., 0]
    expected = np.zeros((17, 17))
    expected[7:10, 7:10] = 1 / 9
    assert abs(found - expected).max() < 1e-12
    # A disk of radius 0.3 is one pixel, smoothed by a Gaussian of three taps.
    taps = np.exp(-0.5 * np.array([-1, 0, 1]) ** 2 / 0.4**2)
    found = defocus_blur(impulse(), (0.3, 0.4), random)[7:10, 7:10, 0]
    assert abs(found - np.outer(taps, taps) / taps.sum() ** 2).max() < 1e-12
    # From radius 8 on five taps, on a grid that ends with the disk, mirrored there.
    y, x = np.mgrid[-10:11, -10:11]
    disk = np.pad((x**2 + y**2 <= 100) / (x**2 + y**2 <= 100).sum(), 2, mode="reflect")
    taps = np.exp(-0.5 * np.arange(-2, 3) ** 2 / 0.5**2)
    weights = np.outer(taps, taps) / taps.sum() ** 2
    expected = sum(weights[i, j] * disk[i : i + 21, j : j + 21] for i in range(5) for j in range(5))
    found = defocus_blur(impulse(41), (10, 0.5), random)[..., 0]
    assert abs(found[10:31, 10:31] - expected).max() < 1e-12
    assert found.sum() == pytest.approx(expected.sum(), abs=1e-12)


def test_motion_is_half_a_gaussian_along_a_line():
    weights = np.exp(-0.5 * (np.arange(7) / 2.0) ** 2)
    weights /= weights.sum()
    for angle, step in ((0, (0, -1)), (90, (-1, 0)), (-90, (1, 0)), (45, None)):
        found = line_blur(impulse(), 3, 2.0, angle)[..., 0]
        assert found.sum() == pytest.approx(1, abs=1e-12)
        if step is not None:
            line = [found[8 + step[0] * i, 8 + step[1] * i] for i in range(7)]
            assert line == pytest.approx(weights, abs=1e-12)


def test_zoom_is_scipys(image):
    for side, factor in ((16, 1.0), (16, 1.13), (16, 2.25), (15, 1.75), (16, 4.5)):
        part = image[:side, :side]
        cut = int(np.ceil(side / factor))
        top = (side - cut) // 2
        zoomed = ndimage.zoom(part[top : top + cut, top : top + cut], (factor, factor, 1), order=1)
        trim = (zoomed.shape[0] - side) // 2
        expected = zoomed[trim : trim + side, trim : trim + side]
        assert abs(clipped_zoom(part, factor) - expected).max() < 1e-12
    expected = (image + image + clipped_zoom(image, 1.5) + clipped_zoom(image, 2.0)) / 4
    assert abs(zoom_blur(image, (1, 2.5, 0.5), None) - expected).max() < 1e-12


#: the arguments of np.arange in the authors' scripts for CIFAR-10-C, Tiny-ImageNet-C and ImageNet-C
ZOOMS = {
    32: [(1, 1.06, 0.01), (1, 1.11, 0.01), (1, 1.16, 0.01), (1, 1.21, 0.01), (1, 1.26, 0.01)],
    64: [(1, 1.06, 0.01), (1, 1.11, 0.01), (1, 1.16, 0.01), (1, 1.21, 0.01), (1, 1.26, 0.01)],
    224: [(1, 1.11, 0.01), (1, 1.16, 0.01), (1, 1.21, 0.02), (1, 1.26, 0.02), (1, 1.31, 0.03)],
}


def published_zoom(image, factor):
    """The definition: scipy's zoom of a centre of ceil(side / factor) pixels, trimmed to the side."""
    side = len(image)
    cut = int(np.ceil(side / factor))
    top = (side - cut) // 2
    zoomed = ndimage.zoom(image[top : top + cut, top : top + cut], (factor, factor, 1), order=1)
    trim = (len(zoomed) - side) // 2
    return zoomed[trim : trim + side, trim : trim + side]


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("side", ZOOMS)
def test_zoom_blur_is_the_published_mean(side, severity):
    images = torch.randint(0, 256, (1, 1, side, side), dtype=torch.uint8)
    image = images[0].permute(1, 2, 0).double().numpy()
    factors = np.arange(*ZOOMS[side][severity - 1])
    expected = (image + sum(published_zoom(image, factor) for factor in factors)) / (len(factors) + 1)
    found = corrupt(images, "zoom_blur", severity)[0, 0].numpy()
    assert abs(found - expected[..., 0]).max() < 0.5 + 1e-9  # rounded to bytes


def test_glass_shows_near_pixels(image, random):
    # A blur of deviation 0.05 has one tap. In one pass every pixel is one of the four up and left, itself among them,
    # each as often; as published, the first two rows and columns take no part.
    found = glass_blur(image, (0.05, 1, 1), random)
    counts = np.zeros((2, 2))
    for y, x in np.ndindex(16, 16):
        near = [
            (down, right) for down in (0, 1) for right in (0, 1) if (found[y, x] == image[y - down, x - right]).all()
        ]
        assert len(near) == 1
        if y < 2 or x < 2:
            assert near == [(0, 0)]
        else:
            counts[near[0]] += 1
    assert abs(counts - 196 / 4).max() < 4 * np.sqrt(196 * 3 / 16)


def test_brightness_is_that_of_hue_saturation_value():
    images = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
    images[0, :, 0, 0] = 0  # black has no hue
    images[0, :, 0, 1] = torch.tensor([0, 255, 0])
    found = corrupt(images, "brightness", 5)[0]
    for y, x in np.ndindex(8, 8):
        hue, saturation, value = colorsys.rgb_to_hsv(*(images[0, :, y, x].double() / 255).tolist())
        expected = colorsys.hsv_to_rgb(hue, saturation, min(1, value + 0.3))
        assert found[:, y, x].tolist() == pytest.approx([255 * e for e in expected], abs=0.5001)


def test_contrast_is_about_each_channels_mean():
    images = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
    values = images.double() / 255
    means = values.mean(dim=(2, 3), keepdim=True)
    expected = ((values - means) * 0.15 + means) * 255
    assert (corrupt(images, "contrast", 5).double() - expected).abs().max() <= 0.5001


def test_fog_is_a_fractal_within_the_images_range(image, random):
    field = plasma_fractal(16, 2.0, random)
    assert (field.min(), field.max()) == (0, 1)
    # Neighbours differ less than distant pixels, also around the edges: the field is a torus.
    steps = [np.abs(field - np.roll(field, s, axis=1)).mean() for s in (1, 8)]
    assert steps[0] < 0.7 * steps[1]
    assert np.abs(field[:, 0] - field[:, -1]).mean() < 0.8 * steps[1]
    assert plasma_fractal(12, 2.0, random).shape == (12, 12)
    found = fog(image, (1.5, 1.75), np.random.default_rng(3))
    expected = image + 1.5 * plasma_fractal(16, 1.75, np.random.default_rng(3))[..., None]
    assert abs(found - expected * image.max() / (image.max() + 1.5)).max() < 1e-12


def test_snow_and_frost_add_light(random):
    images = torch.full((16, 1, 16, 16), 40, dtype=torch.uint8)
    assert all((corrupt(images, "snow", s).float() >= 40 * 0.8 - 0.5).all() for s in SEVERITIES)
    assert corrupt(images, "snow", 5).float().mean() > corrupt(images, "snow", 1).float().mean() > 40
    assert corrupt(images, "frost", 1).float().mean() > 40
    # 0.75 x + 0.45 ice, ice from 0 to 1
    assert corrupt(images, "frost", 5).float().min() >= 0.75 * 40 - 0.5
    assert corrupt(images, "frost", 5).float().max() <= 0.75 * 40 + 0.45 * 255 + 0.5
    assert grey(np.array([[[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]])).ravel().tolist() == [0.299, 0.587, 0.114]


def test_elastic_transform_takes_three_corners_where_it_drew_them():
    side, reach = 48, 3.0
    ramp = np.repeat(np.mgrid[:side, :side].transpose(1, 2, 0) / side, [1, 1], axis=2)  # each pixel says where it was
    found = elastic_transform(ramp, (0, 0, reach), np.random.default_rng(5)) * side
    corners = side // 2 + side // 3 * np.array([[1, 1], [-1, 1], [-1, -1]])
    moved = corners + np.random.default_rng(5).uniform(-reach, reach, (3, 2))
    for corner, place in zip(corners, moved, strict=True):
        shown = [ndimage.map_coordinates(found[..., k], place[:, None], order=1)[0] for k in (0, 1)]
        assert shown == pytest.approx(corner, abs=1e-6)
    same = elastic_transform(ramp, (0, 0, 0), np.random.default_rng(5))
    assert abs(same - ramp).max() < 1e-12
    # Displacements: strength times noise smoothed by a Gaussian, mean zero, reflected.
    found = elastic_transform(ramp, (2.0, 1.0, 0), np.random.default_rng(5)) * side - ramp * side
    draws = np.random.default_rng(5)
    draws.uniform(0, 0, (3, 2))
    noise = draws.uniform(-1, 1, (2, side, side))
    expected = 2.0 * np.stack([ndimage.gaussian_filter(n, 1.0, mode="reflect", truncate=3) for n in noise], axis=2)
    assert abs(found - expected)[4:-4, 4:-4].max() < 1e-9


def test_pixelate_and_jpeg_are_pillows(image):
    found = pixelate(image, 0.5, None)
    blocks = image.reshape(8, 2, 8, 2, 3).mean(axis=(1, 3)).repeat(2, axis=0).repeat(2, axis=1)
    assert abs(found - blocks).max() <= 1.5 / 255  # bytes before, between and after Pillow's two passes
    pixels = (image * 255).round().astype(np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=40)
    assert np.array_equal((jpeg_compression(image, 40, None) * 255).round(), np.asarray(Image.open(file)))


@pytest.mark.parametrize(
    ("images", "name", "severity", "message"),
    [
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "rain", 1, "corruption 'rain' is not known"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "fog", 6, "severity is 6"),
        (torch.zeros(1, 3, 8, 8), "fog", 1, "found torch.float32 images"),
        (torch.zeros(1, 2, 8, 8, dtype=torch.uint8), "fog", 1, "expected square uint8 images"),
        (torch.zeros(1, 3, 8, 9, dtype=torch.uint8), "fog", 1, "expected square uint8 images"),
    ],
)
def test_bad_input(images, name, severity, message):
    with pytest.raises(BadInput, match=message):
        corrupt(images, name, severity)


def test_a_folder_is_read_as_cifar_10_c_is_laid_out(tmp_path, random):
    images = random.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    labels = np.tile(np.arange(4, dtype=np.uint8), 5)
    np.save(tmp_path / "fog.npy", images)
    np.save(tmp_path / "saturate.npy", images)
    np.save(tmp_path / "labels.npy", labels)
    folder = CorruptionFolder(tmp_path)
    assert folder.names == ["fog"]
    found, truth = folder("fog", 3)
    assert torch.equal(found, torch.from_numpy(images[8:12]).permute(0, 3, 1, 2))
    assert truth.tolist() == [0, 1, 2, 3]
    with pytest.raises(BadInput, match="there is no corruption folder"):
        CorruptionFolder(tmp_path / "none")
    np.save(tmp_path / "snow.npy", images[:10])
    with pytest.raises(BadInput, match=r"snow.npy holds uint8 of shape \(10, 8, 8, 3\)"):
        CorruptionFolder(tmp_path)
    (tmp_path / "snow.npy").write_bytes((tmp_path / "fog.npy").read_bytes()[:300])
    with pytest.raises(BadInput, match=r"snow.npy cannot be read"):
        CorruptionFolder(tmp_path)
    np.save(tmp_path / "labels.npy", labels[:3])
    with pytest.raises(BadInput, match=r"labels.npy has shape"):
        CorruptionFolder(tmp_path)
    (tmp_path / "labels.npy").unlink()
    with pytest.raises(BadInput, match=r"labels.npy cannot be read"):
        CorruptionFolder(tmp_path)


def saved(name, array):
    return lambda folder: np.save(folder / name, array)


def archive(folder):
    np.savez(folder / "a.npz", images=np.zeros(3))
    (folder / "a.npz").rename(folder / "fog.npy")


def pickled(folder):
    np.save(folder / "fog.npy", np.array([{}]), allow_pickle=True)


DAMAGED = {
    "labels as floats": (saved("labels.npy", np.zeros(20)), "labels.npy holds float64 from 0.0 to 0.0"),
    "words for labels": (saved("labels.npy", np.full(20, "a")), "labels.npy holds <U1; expected whole numbers"),
    "negative labels": (saved("labels.npy", np.full(20, -1)), "labels.npy holds int64 from -1 to -1"),
    "large labels": (saved("labels.npy", np.full(20, 2**40)), "labels.npy holds int64 from 1099511627776"),
    "one label": (saved("labels.npy", np.array(3)), r"labels.npy has shape \(\)"),
    "no label": (saved("labels.npy", np.zeros(0, int)), r"labels.npy has shape \(0,\)"),
    "nothing": (lambda folder: (folder / "fog.npy").write_bytes(b""), "fog.npy cannot be read as an array"),
    "an archive": (archive, "fog.npy cannot be read as an array .it is an .npz archive"),
    "a pickle": (pickled, "fog.npy cannot be read as an array .*[Pp]ickle|Array can't be memory-mapped"),
    "text": (lambda folder: (folder / "fog.npy").write_text("fog"), "fog.npy cannot be read as an array"),
    "16 bits": (saved("fog.npy", np.zeros((20, 8, 8, 3), np.uint16)), "fog.npy holds uint16"),
    "a pipe for labels": (
        lambda folder: ((folder / "labels.npy").unlink(), os.mkfifo(folder / "labels.npy")),
        "labels.npy cannot be read as an array .there is no file",
    ),
}


@pytest.mark.parametrize("damage, message", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_folder_is_one_line(tmp_path, damage, message):
    np.save(tmp_path / "fog.npy", np.zeros((20, 8, 8, 3), np.uint8))
    np.save(tmp_path / "labels.npy", np.zeros(20, int))
    damage(tmp_path)
    with pytest.raises(BadInput, match=message) as found:
        CorruptionFolder(tmp_path)
    assert "\n" not in str(found.value)


def test_an_archive_is_closed(tmp_path, monkeypatch):
    np.save(tmp_path / "labels.npy", np.zeros(20, int))
    archive(tmp_path)
    opened, load = [], np.load
    monkeypatch.setattr(np, "load", lambda *a, **k: opened.append(load(*a, **k)) or opened[-1])
    with pytest.raises(BadInput, match="archive"):
        CorruptionFolder(tmp_path)
    assert opened[-1].fid is None


def test_labels_of_another_byte_order_are_read(tmp_path):
    np.save(tmp_path / "fog.npy", np.zeros((10, 8, 8, 3), np.uint8))
    np.save(tmp_path / "labels.npy", np.tile([3, 5], 5).astype(">i8"))
    assert CorruptionFolder(tmp_path)("fog", 5)[1].tolist() == [3, 5]


@pytest.mark.parametrize("numbers", [{"seed": -1}, {"first": -1}])
def test_numbers_below_zero_are_one_line(numbers):
    with pytest.raises(BadInput, match="is -1; expected 0 or more"):
        corrupt(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "fog", 1, **numbers)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_of_one_pixel(name):
    assert corrupt(torch.full((1, 3, 1, 1), 90, dtype=torch.uint8), name, 5).shape == (1, 3, 1, 1)


def test_mean_corruption_error_of_nothing_or_relative_to_nothing():
    for arguments in (({},), ({"fog": [0.5] * 5}, {"fog": [1.0] * 5}), ({"fog": [0.5] * 5}, {"snow": [0.5] * 5})):
        with pytest.raises(BadInput, match="mean_corruption_error"):
            mean_corruption_error(*arguments)


def test_mean_corruption_error_is_the_papers():
    ours = {"fog": [1.0, 0.8, 0.6, 0.4, 0.2], "snow": [0.9] * 5}
    theirs = {"fog": [0.2] * 5, "snow": [0.8] * 5}
    assert mean_corruption_error(ours) == pytest.approx((0.4 + 0.1) / 2)
    assert mean_corruption_error(ours, theirs) == pytest.approx((0.4 / 0.8 + 0.1 / 0.2) / 2)
