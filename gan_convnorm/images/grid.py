"""Images as picture files, one or many in rows."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gan_convnorm.files.atomic_write import atomic_write

__all__ = ["over_checkerboard", "picture_grid", "save_grid", "save_image"]

GREY = 128
#: squares of the checkerboard under transparent pixels: their greys, and their side in pixels of the picture
SQUARES, SQUARE = (102, 153), 8


def picture_grid(images: Tensor, columns: int = 10) -> Tensor:
    """Return uint8 images (N, C, H, W) as one picture (3, H', W'), row by row; small ones enlarged to about 64 pixels.

    RGBA images are drawn over a grey checkerboard.

    >>> picture_grid(torch.zeros(20, 1, 16, 16, dtype=torch.uint8)).shape
    torch.Size([3, 134, 662])

    Args:
        images: grey, RGB or RGBA.
        columns: images in a row.

    Returns:
        The picture, uint8.
    """
    from torchvision.utils import make_grid

    factor = max(1, 64 // images.shape[-1])
    enlarged = images.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
    if images.shape[1] == 4:
        enlarged = over_checkerboard(enlarged)
    grid: Tensor = make_grid(enlarged, nrow=columns, padding=2, pad_value=GREY)
    return grid.expand(3, -1, -1)


def over_checkerboard(images: Tensor) -> Tensor:
    """Return RGBA images (N, 4, H, W) as RGB ones (N, 3, H, W): alpha x colour + (1 - alpha) x checkerboard.

    >>> over_checkerboard(torch.zeros(1, 4, 1, 1, dtype=torch.uint8)).flatten().tolist()
    [102, 102, 102]
    """
    rows, columns = (torch.arange(side, device=images.device) // SQUARE for side in images.shape[2:])
    odd = (rows[:, None] + columns) % 2
    board = SQUARES[0] + (SQUARES[1] - SQUARES[0]) * odd
    colour, alpha = images[:, :3].float(), images[:, 3:].float() / 255
    return torch.lerp(board.to(colour).expand_as(colour), colour, alpha).round().to(torch.uint8)


def save_grid(images: Tensor, path: Path, columns: int = 10) -> None:
    """Write uint8 images (N, C, H, W) as one picture, see `picture_grid`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_grid(torch.zeros(20, 1, 16, 16, dtype=torch.uint8), Path(folder, "a.png"))
    ...     Path(folder, "a.png").is_file()
    True
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(picture_grid(images, columns), path)


def save_image(image: Tensor, path: Path) -> None:
    """Write one uint8 image (C, H, W), grey, RGB or RGBA, as PNG: whole or not at all, and through no link.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_image(torch.zeros(3, 8, 8, dtype=torch.uint8), Path(folder, "a.png"))
    ...     Path(folder, "a.png").is_file()
    True
    """
    from torchvision.transforms.functional import to_pil_image

    with atomic_write(path) as part:
        to_pil_image(image).save(part, format="PNG")
