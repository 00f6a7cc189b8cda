"""Bad picture files, written into a case's folder."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["in_folders", "png_header", "spoilers"]


def picture(name: str, mode: str = "RGB", size: tuple[int, int] = (16, 16), **options: Any) -> Callable[[Path], None]:
    """Return a function that saves a picture of one value into a folder."""

    def write(folder: Path) -> None:
        from PIL import Image

        value: Any = 7 if len(Image.new(mode, (1, 1)).getbands()) == 1 else None
        Image.new(mode, size, value or 0).save(folder / name, **options)

    return write


def content(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(data) and None


def png_header(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """Return a PNG file of any depth and kind of colour, which Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_png(name: str, colour: int, values: int) -> Callable[[Path], None]:
    row = b"\0" + b"\x12\x34" * values * 16
    return content(name, png_header(16, 16, 16, colour, row * 16))


def animated(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        from PIL import Image

        frames = [Image.new("RGB", (16, 16), colour) for colour in ("black", "white")]
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])

    return write


def cut_png(folder: Path) -> None:
    from PIL import Image

    buffer = io.BytesIO()
    Image.effect_noise((16, 16), 50).convert("RGB").save(buffer, "png")
    (folder / "zz-cut.png").write_bytes(buffer.getvalue()[:200])


def link(name: str, target: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).symlink_to(target)


def strange_name(folder: Path) -> None:
    source = next(folder.rglob("*.png"))
    with open(os.fsencode(folder) + b"/bad-\xff-name.png", "wb") as file:  # noqa: PTH123 - the name is not UTF-8
        file.write(source.read_bytes())


#: what is wrong -> what puts it into a folder of good pictures of 16x16 pixels
spoilers: dict[str, Callable[[Path], Any]] = {
    "text that ends as a picture does": content("zz.png", b"text"),
    "an empty file": content("zz.png", b""),
    "a cut picture": cut_png,
    "a page of HTML that ends as a picture does": content("zz.jpg", b"<!doctype html><html>"),
    "a picture of 16-bit grey": picture("zz.png", "I;16"),
    "a picture of 16-bit RGB": deep_png("zz.png", 2, 3),
    "a picture of 16-bit RGBA": deep_png("zz.png", 6, 4),
    "a picture of 16-bit grey with alpha": deep_png("zz.png", 4, 2),
    "a picture that claims 100,000 pixels a side": content("zz.png", png_header(100_000, 100_000, 8, 2, b"\0" * 99)),
    "a picture of no pixels": content("zz.png", png_header(0, 0, 8, 2, b"")),
    "a link that leads nowhere": link("zz.png", "nowhere.png"),
    "a link to itself": link("zz.png", "zz.png"),
    "a folder that ends as a picture does": lambda folder: (folder / "zz.png").mkdir(),
}
#: what must be read as if it were not there, or as the picture that it is
harmless: dict[str, Callable[[Path], Any]] = {
    "a file of text": content("notes.txt", b"text"),
    "a FIFO": lambda folder: os.mkfifo(folder / "zz.png"),
    "a link to a device": link("zz.png", "/dev/zero"),
    "a .DS_Store": content(".DS_Store", b"\0\0\0\1Bud1"),
    "a picture's other fork": content("._00.png", b"\0\5\x16\7"),
    "checkpoints of a notebook": lambda folder: (
        (folder / ".ipynb_checkpoints").mkdir(),
        picture("00.png")(folder / ".ipynb_checkpoints"),
    ),
    "a GIF": picture("zz.gif", "P"),
    "an animated GIF": animated("zz.gif"),
    "an animated WebP": animated("zz.webp"),
    "a TIFF": picture("zz.tiff"),
    "a jfif": picture("zz.jfif", format="jpeg"),
    "an upper-case ending": picture("ZZ.PNG"),
    "CMYK": picture("zz.jpg", "CMYK"),
    "a palette": picture("zz.png", "P"),
    "grey with alpha": picture("zz.png", "LA"),
    "a name that is not UTF-8": strange_name,
    "a link to a picture": link("zz.png", "00.png"),
}


def loop(folder: Path) -> None:
    (folder / "loop").symlink_to(folder.resolve(), target_is_directory=True)


def in_folders(folder: str, spoil: Callable[[Path], Any]) -> Callable[[], None]:
    """Return a function that spoils a folder of a case."""
    return lambda: spoil(Path(folder))
