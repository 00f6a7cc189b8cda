"""An animation of a training, made of the sample grids that a run has written."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

__all__ = ["animate"]

FRAME, LAST_FRAME = 250, 2000  # milliseconds
WIDTH = 480


def animate(pictures: Sequence[bytes]) -> bytes:
    """Return grids as one GIF that repeats without end; empty for fewer than two.

    Args:
        pictures: PNG files, in order; damaged ones, and those of another size than the last, are left out.

    >>> animate([])
    b''
    """
    from PIL import Image

    opened: list[Image.Image] = []
    for data in pictures:
        with contextlib.suppress(Exception):  # a damaged file makes Pillow raise anything
            opened.append(Image.open(io.BytesIO(data)).convert("RGB"))
    frames = [image for image in opened if image.size == opened[-1].size]
    if len(frames) < 2:
        return b""
    width, height = frames[0].size
    if width > WIDTH:
        frames = [frame.resize((WIDTH, round(height * WIDTH / width)), Image.Resampling.BOX) for frame in frames]
    reduced = [frame.quantize(64) for frame in frames]
    buffer = io.BytesIO()
    times = [FRAME] * (len(reduced) - 1) + [LAST_FRAME]
    reduced[0].save(buffer, "GIF", save_all=True, append_images=reduced[1:], duration=times, loop=0)
    return buffer.getvalue()
