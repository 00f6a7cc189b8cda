"""Animations as GIF or MP4 files."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write

__all__ = ["check_animation", "write_animation"]

FRAMES_PER_SECOND = 20


def check_animation(form: str) -> None:
    """Raise unless an animation's form can be written here.

    Args:
        form: none, gif or mp4.

    Raises:
        BadInput: mp4 without the package that has the encoder.

    >>> check_animation("gif")
    """
    if form == "mp4" and find_spec("imageio_ffmpeg") is None:
        raise BadInput("--animation mp4 needs a package: python -m pip install imageio-ffmpeg; or choose gif")


def write_animation(frames: Sequence[Tensor], path: Path) -> None:
    """Write pictures as an animation, whose file appears when it is whole.

    >>> import tempfile, torch
    >>> from PIL import Image
    >>> frames = [torch.full((3, 8, 8), grey, dtype=torch.uint8) for grey in (0, 128, 255)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_animation(frames, Path(folder, "a.gif"))
    ...     Image.open(Path(folder, "a.gif")).n_frames
    3

    Args:
        frames: uint8, each (3, H, W), of one size.
        path: ends in .gif, for one that repeats without end, or in .mp4.
    """
    with atomic_write(path) as part:
        _write(frames, part, path.suffix)


def _write(frames: Sequence[Tensor], path: Path, suffix: str) -> None:
    if suffix == ".gif":
        from torchvision.transforms.functional import to_pil_image

        first, *rest = [to_pil_image(frame) for frame in frames]
        first.save(path, "GIF", save_all=True, append_images=rest, duration=1000 // FRAMES_PER_SECOND, loop=0)
        return
    import imageio_ffmpeg

    height, width = (size + size % 2 for size in frames[0].shape[1:])  # the encoder takes even sides only
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=FRAMES_PER_SECOND, macro_block_size=2, output_params=["-f", "mp4"]
    )
    writer.send(None)
    for frame in frames:
        padded = F.pad(frame, (0, width - frame.shape[2], 0, height - frame.shape[1]))
        writer.send(padded.permute(1, 2, 0).contiguous().numpy())
    writer.close()
