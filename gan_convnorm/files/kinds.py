"""Kinds of files, told by their first bytes."""

from __future__ import annotations

import re

__all__ = ["HEAD", "looks_like"]

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
    r"""Return the kind of file, such as "an HTML page", from its first bytes.

    >>> looks_like(b"\x89PNG\r\n")
    'a PNG file'
    """
    if not head:
        return "an empty file"
    for pattern, kind in KINDS:
        if re.match(pattern, head[:512], re.DOTALL | re.IGNORECASE):
            return kind
    return "no file of a known kind"
