"""What training, scoring and neighbours make of each kind of image file: the table of docs/data.md."""

import io
import re
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_convnorm.data import Folder, picture_cache
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import FolderImages
from gan_convnorm.inference.neighbours import find_neighbours

DOCS = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
X, Y = np.meshgrid(np.arange(8), np.arange(8))
#: 64 different colours without sharp edges, that lossy formats keep to a few levels
PIXELS = np.stack([10 + 30 * X, 10 + 30 * Y, 120 + 0 * X], axis=2).astype(np.uint8)
GREY = PIXELS[..., 0]
ALPHA = (4 * (8 * Y + X)).astype(np.uint8)
BLACK_AND_WHITE = (GREY > 100) * np.uint8(255)
OTHER = 255 - PIXELS


def saved(image, form, **options):
    file = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(file, form, **options)
    return file.getvalue()


def patched(content, pattern, replacement):
    """The content with the pattern's last group replaced by as many bytes."""
    found = re.search(pattern, content, re.DOTALL)
    start, stop = found.span(found.re.groups)
    assert stop - start == len(replacement)
    return content[:start] + replacement + content[stop:]


def png(depth, colour, values, size=(8, 8)):
    """A PNG file by its specification; values of shape (8, 8, channels)."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def tiff(values, bits, sample_format=1):
    """A TIFF file of three channels by its specification."""
    tags = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 3, 200), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 300)]
    tags += [(277, 3, 1, 3), (278, 3, 1, 8), (279, 4, 1, values.nbytes), (339, 3, 3, 210)]
    table = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    head = (b"II*\0" + struct.pack("<I", 8) + table).ljust(200, b"\0")
    return (head + struct.pack("<3H4x3H", bits, bits, bits, *3 * [sample_format])).ljust(300, b"\0") + values.tobytes()


def deep(channels):
    return np.repeat(GREY[..., None].astype(np.uint16) * 257, channels, axis=2)


def palette(**options):
    image = Image.fromarray((8 * Y + X).astype(np.uint8), "P")
    image.putpalette(PIXELS.reshape(-1).tobytes())
    return saved(image, **options)


def oriented(pixels, orientation, form="PNG", **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(pixels, form, exif=exif, **options)


def sideways(form="PNG", **options):
    """An image that a viewer turns by 90 degrees clockwise."""
    return oriented(np.rot90(PIXELS), 6, form, **options)


def frames(form, **options):
    return saved(PIXELS, form, save_all=True, append_images=[Image.fromarray(OTHER)], **options)


def ycck():
    """Adobe's: the colours' complements as YCbCr, and no black, both inverted; marked by transform 2."""
    image = np.array(Image.fromarray(255 - PIXELS).convert("YCbCr"))
    values = 255 - np.concatenate([image, np.full((8, 8, 1), 255, np.uint8)], axis=2)
    content = saved(Image.fromarray(values, "CMYK"), "JPEG", quality=100, subsampling=0)
    return patched(content, rb"Adobe.{6}(\0)", b"\2")


def cmyk():
    """Each colour c as ink 255 - c, with no black; PIL's CMYK is of inks."""
    return Image.fromarray(np.concatenate([255 - PIXELS, np.zeros((8, 8, 1), np.uint8)], axis=2), "CMYK")


def grey(values):
    return np.repeat(values[..., None], 3, axis=2)


DEEP = "refused: more than 8 bits a channel"
#: kind -> its files by name, and what all three make of them: the pixels (lossy: to a few levels) or a refusal
KINDS = {
    "8 bits a channel, colour": (
        {
            "a.png": saved(PIXELS, "PNG"),
            "a.jpg": saved(PIXELS, "JPEG", quality=100, subsampling=0),
            "a.jfif": saved(PIXELS, "JPEG", quality=100, subsampling=0),
            "a.jpe": saved(PIXELS, "JPEG", quality=100, subsampling=0),
            "a.webp": saved(PIXELS, "WEBP", lossless=True),
            "a.bmp": saved(PIXELS, "BMP"),
            "a.dib": saved(PIXELS, "DIB"),
            "a.tif": saved(PIXELS, "TIFF"),
            "b.tiff": tiff(PIXELS, 8),
            "a.ppm": saved(PIXELS, "PPM"),
            "a.qoi": saved(PIXELS, "QOI"),
            "a.avif": saved(PIXELS, "AVIF", quality=100, subsampling="4:4:4"),
            "a.jp2": saved(PIXELS, "JPEG2000"),
        },
        "read",
        PIXELS,
    ),
    "grey": (
        {"a.png": saved(GREY, "PNG"), "a.jpg": saved(GREY, "JPEG", quality=100), "a.pgm": saved(GREY, "PPM")},
        "read, repeated to three channels",
        grey(GREY),
    ),
    "black and white": (
        {
            "a.png": saved(Image.fromarray(BLACK_AND_WHITE).convert("1"), "PNG"),
            "a.pbm": saved(Image.fromarray(BLACK_AND_WHITE).convert("1"), "PPM"),
            "a.tif": saved(Image.fromarray(BLACK_AND_WHITE).convert("1"), "TIFF"),
        },
        "read, repeated to three channels",
        grey(BLACK_AND_WHITE),
    ),
    "alpha channel": (
        {
            "a.png": saved(np.dstack([PIXELS, ALPHA]), "PNG"),
            "a.tif": saved(np.dstack([PIXELS, ALPHA]), "TIFF"),
            "a.webp": saved(np.dstack([PIXELS, np.maximum(ALPHA, 1)]), "WEBP", lossless=True, exact=True),
        },
        "read, alpha dropped",
        PIXELS,
    ),
    "grey with alpha": (
        {"a.png": saved(Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)]), "PNG")},
        "read, alpha dropped",
        grey(GREY),
    ),
    "palette": (
        {"a.png": palette(form="PNG"), "a.gif": palette(form="GIF"), "a.bmp": palette(form="BMP")},
        "read",
        PIXELS,
    ),
    "palette with transparency": (
        {
            "a.png": palette(form="PNG", transparency=3),
            "b.png": palette(form="PNG", transparency=bytes(range(64))),
            "a.gif": palette(form="GIF", transparency=3),
        },
        "read, alpha dropped",
        PIXELS,
    ),
    "CMYK, YCCK": (
        {
            "a.tif": saved(cmyk(), "TIFF"),
            "a.jpg": saved(cmyk(), "JPEG", quality=100, subsampling=0),
            "b.jpg": ycck(),
        },
        "read, without the colour profile",
        PIXELS,
    ),
    "several frames or pages": (
        {
            "a.gif": frames("GIF"),
            "a.webp": frames("WEBP", lossless=True),
            "a.png": frames("PNG"),
            "a.apng": frames("PNG"),
            "a.tif": frames("TIFF"),
            "a.avif": frames("AVIF", quality=100, subsampling="4:4:4"),
        },
        "the first is read",
        PIXELS,
    ),
    "EXIF orientation": (
        {
            "a.png": sideways(),
            "a.jpg": sideways("JPEG", quality=100, subsampling=0),
            "a.webp": sideways("WEBP", lossless=True),
            "a.tif": sideways("TIFF"),
            "a.avif": sideways("AVIF", quality=100, subsampling="4:4:4"),
        },
        "turned upright",
        PIXELS,
    ),
    "16-bit PNG, grey or colour, with alpha or without": (
        {f"{colour}.png": png(16, colour, deep(n)) for colour, n in ((0, 1), (2, 3), (4, 2), (6, 4))},
        DEEP,
        None,
    ),
    "12- and 16-bit TIFF": (
        {
            "grey16.tif": saved(deep(1)[..., 0], "TIFF"),
            "grey12.tif": patched(saved(deep(1)[..., 0], "TIFF"), rb"\x02\x01\x03\0\x01\0\0\0(\x10)", b"\x0c"),
            "colour16.tif": tiff(deep(3), 16),
        },
        DEEP,
        None,
    ),
    "floating TIFF, PFM": (
        {
            "grey.tif": saved(GREY.astype(np.float32), "TIFF"),
            "colour.tif": tiff(PIXELS.astype(np.float32), 32, 3),
            "pfm.ppm": saved(GREY.astype(np.float32), "PPM"),
        },
        DEEP,
        None,
    ),
    "12-bit JPEG": (
        {"a.jpg": patched(saved(PIXELS, "JPEG"), rb"\xff\xc0..(\x08)", b"\x0c")},
        DEEP,
        None,
    ),
    "16-bit PPM and PGM": (
        {
            "a.ppm": b"P6 # 16 bits\n8 8\n65535\n" + deep(3).astype(">u2").tobytes(),
            "b.ppm": b"P6\n8 8\n1023\n" + deep(3).astype(">u2").tobytes(),
            "plain.ppm": b"P3\n1 1\n65535\n1 2 3\n",
            "a.pgm": b"P5\n8 8\n65535\n" + deep(1).astype(">u2").tobytes(),
        },
        DEEP,
        None,
    ),
    "10- and 12-bit AVIF": (
        {
            f"{bits}.avif": patched(saved(PIXELS, "AVIF"), rb"av1C..(.)", bytes([flags]))
            for bits, flags in ((10, 0x4C), (12, 0x6C))
        },
        DEEP,
        None,
    ),
    "12- and 16-bit JPEG 2000": (
        {
            "grey.jp2": saved(Image.fromarray(deep(1)[..., 0]), "JPEG2000"),
            "colour.jp2": patched(saved(PIXELS, "JPEG2000"), rb"\xff\x51.{36}\0\x03(\x07)", b"\x0b"),
        },
        DEEP,
        None,
    ),
    "damaged": (
        {"a.png": saved(PIXELS, "PNG")[:60], "a.jpg": saved(PIXELS, "JPEG")[:300], "b.jpg": saved(PIXELS, "JPEG")[:30]},
        "refused: (damaged|looks like)",
        None,
    ),
    "another kind of file under an image's name": (
        {
            "html.jpg": b"<!DOCTYPE html><html></html>",
            "empty.png": b"",
            "heic.jpg": b"\0\0\0\x18ftypheic" + bytes(30),
            "hdr.png": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n",
            "eps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n",
            "lfs.png": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "svg.png": b'<?xml version="1.0"?>\n<svg width="8"/>',
        },
        "refused: looks like",
        None,
    ),
    "too many pixels": (
        {"a.png": png(8, 2, PIXELS, (40_000, 40_000))},
        "refused: more than",
        None,
    ),
}
CASES = [(kind, name) for kind, (files, *_) in KINDS.items() for name in files]
LOSSY = ("jpg", "jfif", "jpe", "avif")


@pytest.fixture
def photos(tmp_path, own_cache):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def trained(folder, **options):
    data = Folder(str(folder), **{"resolution": 8, "test_fraction": 0, **options})
    data.setup()
    return data.train_set.tensors[0]


def scored(folder):
    images = FolderImages(folder)
    return torch.cat(list(images.batches(0, len(images), 4)))


def nearest(folder):
    """The train image that is nearest to the expected one."""
    train = trained(folder)
    found = find_neighbours(scored(folder), train, None, count=1)
    assert found.distances["pixels"].item() == 0
    return train[found.numbers["pixels"][0]]


@pytest.mark.filterwarnings("ignore:1 images of")
@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}-{name}" for kind, name in CASES])
def test_kinds(photos, kind, name):
    files, outcome, pixels = KINDS[kind]
    (photos / name).write_bytes(files[name])
    for read in (trained, scored, nearest):
        if pixels is None:
            reason = outcome.removeprefix("refused: ")
            with pytest.raises(BadInput, match=rf"1 of 1 files .*{re.escape(name)} \({reason}") as error:
                read(photos)
            assert "\n" not in str(error.value)
            continue
        found = read(photos)[0].permute(1, 2, 0).numpy().astype(int)
        assert found.shape == (8, 8, 3)
        limit = 6 if name.split(".")[1] in LOSSY else 0
        assert np.abs(found - pixels).max() <= limit


def test_the_docs_have_this_table():
    section = DOCS.split("### Kinds of files")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", section, re.MULTILINE)
    table = {kind: outcome for kind, outcome in rows if not kind.startswith(("kind", "-"))}
    assert list(table) == [*KINDS, "HEIC, HDR, EXR, SVG, PDF, EPS and all other endings"]
    for kind, (_, outcome, _) in KINDS.items():
        assert table[kind].startswith(outcome.replace("(damaged|looks like)", "damaged")), kind


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
            " are turned upright, as their EXIF orientation says (torch-fidelity does not)",
            " have several pictures (frames or pages), of which the first is taken",
        ]


def test_black_ink(photos):
    """(255 - ink)(255 - black) / 255, rounded: 255 * 191 / 255, 127 * 191 / 255, 0."""
    Image.new("CMYK", (8, 8), (0, 128, 255, 64)).save(photos / "a.tif")
    for read in (trained, scored):
        with pytest.warns(UserWarning, match="are CMYK"):
            assert read(photos)[0, :, 0, 0].tolist() == [191, 95, 0]


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
