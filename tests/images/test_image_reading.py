"""How an image file is read: its orientation, its colours, its kind, and what is said about it."""

import errno
import warnings

import numpy as np
import pytest
import torch
from image_kinds import CASES, KINDS
from picture_files import PIXELS, oriented, saved, sideways
from picture_readers import scored, trained
from PIL import Image

from gan_convnorm.data import picture_cache
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import FolderImages
from gan_convnorm.images import decoding
from gan_convnorm.images.regular_files import file_stamp


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.filterwarnings("ignore:1 images of")
def test_orientations(photos, orientation, form):
    """By the definition in EXIF 2.3, 4.6.4: where the stored first row and first column are seen."""
    (photos / f"a.{form.lower()}").write_bytes(oriented(PIXELS, orientation, form))
    seen = {
        1: PIXELS,
        2: PIXELS[:, ::-1],  # the first column is seen at the right
        3: PIXELS[::-1, ::-1],
        4: PIXELS[::-1],
        5: PIXELS.transpose(1, 0, 2),  # the first row is seen at the left, the first column at the top
        6: PIXELS.transpose(1, 0, 2)[:, ::-1],  # the first row at the right
        7: PIXELS.transpose(1, 0, 2)[::-1, ::-1],
        8: PIXELS.transpose(1, 0, 2)[::-1],  # the first row at the left, the first column at the bottom
    }[orientation]
    for read in (trained, scored):
        assert np.array_equal(read(photos)[0].permute(1, 2, 0), seen)


def test_upright_images_are_read_as_torch_fidelity_does(photos):
    from torch_fidelity.utils import prepare_input_from_descriptor

    names = [
        name
        for kind, (files, _, pixels) in KINDS.items()
        if pixels is not None and kind != "EXIF orientation"
        for name in files
        if name.split(".")[1] in ("png", "jpg")
    ]
    assert len(names) > 10
    for number, (kind, name) in enumerate((k, n) for k, n in CASES if KINDS[k][2] is not None and n in names):
        if kind != "EXIF orientation":
            (photos / f"{number:02d}-{name}").write_bytes(KINDS[kind][0][name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = prepare_input_from_descriptor({"input": str(photos)}, verbose=False, samples_find_ext="png,jpg")
        assert torch.equal(scored(photos), torch.stack([theirs[i] for i in range(len(theirs))]))


def test_what_is_converted_is_said_once(photos):
    for name in ("a.gif", "a.webp", "a.tif"):
        (photos / name).write_bytes(KINDS["several frames or pages"][0][name])
    (photos / "c.tif").write_bytes(KINDS["CMYK, YCCK"][0]["a.tif"])
    (photos / "e.png").write_bytes(sideways())
    for read in (trained, scored):
        with pytest.warns(UserWarning) as caught:
            read(photos)
        assert sorted(str(w.message).split(str(photos))[1] for w in caught) == [
            " are CMYK, converted to RGB without a colour profile",
            " are turned upright, as their EXIF orientation says (torch-fidelity does so for TIFF alone)",
            " have several pictures (frames or pages), of which the first is taken",
        ]


def test_black_ink(photos):
    """(255 - ink)(255 - black) / 255, rounded: 255 * 191 / 255, 127 * 191 / 255, 0."""
    Image.new("CMYK", (8, 8), (0, 128, 255, 64)).save(photos / "a.tif")
    for read in (trained, scored):
        with pytest.warns(UserWarning, match="are CMYK"):
            assert read(photos)[0, :, 0, 0].tolist() == [191, 95, 0]


@pytest.mark.parametrize("size", [(1, 101), (101, 1)])
def test_a_thread_of_pixels_is_no_image(photos, size):
    """A file of 467 bytes with 400,000 pixels in a row took 20 GB when its short side was enlarged to 128 pixels."""
    (photos / "b.png").write_bytes(saved(np.zeros((*size, 3), dtype=np.uint8), "PNG"))
    for read in (trained, scored):
        with pytest.raises(BadInput, match=rf"{size[0]}x{size[1]} pixels \(height x width\), more than 100 times"):
            read(photos)


def test_damaged_exif_data_loses_no_picture(photos):
    Image.fromarray(PIXELS).save(photos / "a.png", exif=b"Exif\0\0no TIFF header")
    for read in (trained, scored):
        assert np.array_equal(read(photos)[0].permute(1, 2, 0), PIXELS)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("html.jpg", "an HTML page"),
        ("empty.png", "an empty file"),
        ("heic.jpg", "a HEIC file"),
        ("hdr.png", "a Radiance HDR file"),
        ("eps.png", "a PostScript file"),
        ("lfs.png", "a Git LFS pointer: git lfs pull fetches the image"),
        ("svg.png", "an SVG drawing"),
    ],
)
def test_the_kind_of_a_file_is_named(photos, name, kind):
    (photos / name).write_bytes(KINDS["another kind of file under an image's name"][0][name])
    for read in (trained, scored):
        with pytest.raises(BadInput, match=rf"{name} \(looks like {kind}\)"):
            read(photos)


def test_no_program_is_started_for_a_file(photos, monkeypatch):
    """EPS makes Pillow start Ghostscript, whatever the file's name."""
    import subprocess

    monkeypatch.setattr(subprocess, "Popen", None)
    (photos / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n")
    for read in (trained, scored):
        with pytest.raises(BadInput, match="looks like a PostScript file"):
            read(photos)


def test_files_decoded_by_an_older_rule_are_decoded_again(photos, monkeypatch):
    (photos / "a.png").write_bytes(saved(PIXELS, "PNG"))
    trained(photos)
    digest = FolderImages(photos).digest()
    monkeypatch.setattr(picture_cache, "VERSION", picture_cache.VERSION - 1)
    monkeypatch.setattr("gan_convnorm.fidelity.image_files.READING", 1)
    assert FolderImages(photos).digest() != digest
    trained(photos)
    assert len(list(picture_cache.cache_folder().glob("images-*.npy"))) == 2


def test_an_error_of_the_system_is_no_bad_file(photos, monkeypatch):
    """A network disk that fails once must not cost the file for good, as a damaged one would."""
    Image.new("RGB", (8, 8)).save(photos / "a.png")
    with monkeypatch.context() as patch:
        real = decoding.open if hasattr(decoding, "open") else open

        def failing(path, *rest):
            if str(path).endswith("a.png"):
                raise OSError(errno.EIO, "Input/output error", str(path))
            return real(path, *rest)

        patch.setattr(decoding, "open", failing, raising=False)
        with pytest.raises(BadInput, match=r"cannot be read now .*a\.png: Input/output error; see to it"):
            trained(photos)
    assert len(trained(photos)) == 1


def test_a_file_whose_permissions_change_is_read_again(photos):
    Image.new("RGB", (8, 8)).save(photos / "a.png")
    before = file_stamp(str(photos / "a.png"))
    (photos / "a.png").chmod(0o600)
    assert file_stamp(str(photos / "a.png")) != before
