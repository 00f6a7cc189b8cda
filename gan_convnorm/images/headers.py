"""The bit depth that an image file states in its header."""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

from gan_convnorm.files.kinds import HEAD

__all__ = ["bits_per_channel"]


def bits_per_channel(file: BinaryIO) -> int:
    """Return the bit depth that the file's own header states, at most 8 for formats without greater depths.

    Pillow opens many files of 10, 12 or 16 bits in an 8-bit mode, so its mode does not tell.

    >>> import io
    >>> bits_per_channel(io.BytesIO(b"P5 64 64 65535 "))
    16
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
    depths: tuple[int, ...] = tags.get(BITSPERSAMPLE, (1,))
    return max(depths)


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
