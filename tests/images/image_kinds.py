"""Each kind of image file, what docs/data.md says of it, and its pixels."""

import numpy as np
from picture_files import (
    ALPHA,
    BLACK_AND_WHITE,
    GREY,
    PIXELS,
    cmyk,
    deep,
    frames,
    grey,
    palette,
    patched,
    png,
    saved,
    sideways,
    tiff,
    ycck,
)
from PIL import Image

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
