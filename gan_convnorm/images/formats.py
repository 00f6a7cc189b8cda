"""Formats of image files that are read, and the endings of their names."""

from __future__ import annotations

from PIL import features

__all__ = ["ENDINGS", "FORMATS"]

#: Pillow's formats that are read -> endings of their files' names. Formats that start other programs (EPS), that hold
#: no pixels (PDF, HDF5) or that any bytes may pass for (TGA) are not read
FORMATS = {
    "PNG": ("png", "apng"),
    "JPEG": ("jpg", "jpeg", "jpe", "jfif"),
    "WEBP": ("webp",),
    "BMP": ("bmp",),
    "DIB": ("dib",),
    "GIF": ("gif",),
    "TIFF": ("tif", "tiff"),
    "PPM": ("ppm", "pgm", "pbm", "pnm"),
    "QOI": ("qoi",),
    **({"AVIF": ("avif",)} if "avif" in features.modules and features.check("avif") else {}),
    **({"JPEG2000": ("jp2", "j2k", "jpx", "jpf")} if features.check("jpg_2000") else {}),
}
ENDINGS = tuple(ending for endings in FORMATS.values() for ending in endings)
