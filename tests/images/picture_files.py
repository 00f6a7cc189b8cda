"""Image files of every kind, by Pillow or by the format's specification."""

import io
import re
import struct
import zlib

import numpy as np
from PIL import Image

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
