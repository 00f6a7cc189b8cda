"""Facts that an image file's first bytes tell: its bit depth, and the kind of a file that is no image."""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

__all__ = ["HEAD", "bits_per_channel", "looks_like"]

#: bytes at the beginning of a file in which AVIF and JPEG 2000 say their bit depth
HEAD = 65536

#: pattern of the first bytes -> the kind of file
KINDS = (
    (rb"\xff\xd8\xff", "a JPEG file"),
    (rb"\x89PNG", "a PNG file"),
    (rb"GIF8", "a GIF file"),
    (rb"RIFF....WEBP", "a WebP file"),
    (rb"II[*+]\0|MM\0[*+]", "a TIFF file"),
    (rb"P[1-7]\s", "a PNM file"),
    (rb"P[Ff]\s", "a PFM file, whose values are floating"),
    (rb"....ftyp(heic|heix|hevc|heim|heis|mif1|msf1)", "a HEIC file"),
    (rb"....ftypavi[fs]", "an AVIF file"),
    (rb"....ftyp", "a video"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 file"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL file"),
    (rb"#\?(RADIANCE|RGBE)", "a Radiance HDR file"),
    (rb"v/1\x01", "an OpenEXR file"),
    (rb"8BPS", "a Photoshop file"),
    (rb"%PDF", "a PDF file"),
    (rb"%!PS", "a PostScript file"),
    (rb"\0\x05\x16[\0\x07]", "an AppleDouble file, which macOS writes beside the image"),
    (rb"version https://git-lfs", "a Git LFS pointer: git lfs pull fetches the image"),
    (rb"PK\x03\x04", "a zip archive"),
    (rb"\x1f\x8b", "a gzip file"),
    (rb"7z\xbc\xaf", "a 7z archive"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"\s*(<!doctype html|<html)", "an HTML page"),
    (rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<svg", "an SVG drawing"),
    (rb"\s*<\?xml", "an XML file"),
    (rb"BM", "a BMP file"),
    (rb"qoif", "a QOI file"),
    (rb"\0+$", "zeros"),
    (rb"[\t\n\r\x20-\x7e]+$", "a text file"),
)


def looks_like(head: bytes) -> str:
    """Return the kind of file, such as "an HTML page", from its first bytes."""
    if not head:
        return "an empty file"
    for pattern, kind in KINDS:
        if re.match(pattern, head[:512], re.DOTALL | re.IGNORECASE):
            return kind
    return "no file of a known kind"


def bits_per_channel(file: BinaryIO) -> int:
    """Return the bit depth that the file's own header states, at most 8 for formats without greater depths.

    Pillow opens many files of 10, 12 or 16 bits in an 8-bit mode, so its mode does not tell.
    """
    file.seek(0)
    head = file.read(64)
    try:
        if head[:4] == b"\x89PNG":
            return head[24]
        if head[:3] == b"\xff\xd8\xff":
            return _jpeg(file)
        if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _tiff(file)
        if re.match(rb"P[2356]\s", head):
            return _pnm(head + file.read(HEAD))
        if re.match(rb"P[Ff]\s", head):
            return 32
        if head[4:8] == b"ftyp":
            return _avif(head + file.read(HEAD))
        if head[4:8] == b"jP  " or head[:4] == b"\xff\x4f\xff\x51":
            return _jpeg2000(head + file.read(HEAD))
    except (IndexError, ValueError, SyntaxError, OSError, struct.error):
        pass  # a damaged header, which the decoder names
    return 8


def _jpeg(file: BinaryIO) -> int:
    """Return the precision in the start of frame, the first segment C0 to CF that holds no tables."""
    file.seek(2)
    while True:
        marker = file.read(2)
        while marker[1] == 0xFF:
            marker = marker[1:] + file.read(1)
        if marker[0] != 0xFF or marker[1] in (0xD9, 0xDA):
            return 8
        length = int.from_bytes(file.read(2), "big")
        if 0xC0 <= marker[1] <= 0xCF and marker[1] not in (0xC4, 0xC8, 0xCC):
            return file.read(1)[0]
        file.seek(length - 2, 1)


def _tiff(file: BinaryIO) -> int:
    from PIL.TiffImagePlugin import BITSPERSAMPLE, ImageFileDirectory_v2

    file.seek(0)
    header = file.read(8)
    tags = ImageFileDirectory_v2(header + (file.read(8) if 43 in header[2:4] else b""))
    file.seek(tags.next)
    tags.load(file)
    return max(tags.get(BITSPERSAMPLE, (1,)))


def _pnm(head: bytes) -> int:
    """Return the bits of the greatest value, the third number after the magic; comments run to the line's end."""
    return int(re.sub(rb"#[^\r\n]*", b"", head).split(maxsplit=4)[3]).bit_length()


def _avif(head: bytes) -> int:
    """Return the greatest depth of the AV1 configurations, of the picture and of its alpha channel."""
    flags = [head[found.end() + 2] for found in re.finditer(rb"av1C", head)]
    return max((12 if flag & 0x20 else 10) if flag & 0x40 else 8 for flag in flags)


def _jpeg2000(head: bytes) -> int:
    """Return the greatest depth in the codestream's SIZ segment: three bytes a component, the first its depth - 1."""
    start = head.index(b"\xff\x4f\xff\x51") + 4
    count = int.from_bytes(head[start + 36 : start + 38], "big")
    return max((depth & 0x7F) + 1 for depth in head[start + 38 : start + 38 + 3 * count : 3])
