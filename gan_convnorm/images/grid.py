"""Images as picture files, one or many in rows."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

__all__ = ["picture_grid", "save_grid", "save_image"]

GREY = 128


def picture_grid(images: Tensor, columns: int = 10) -> Tensor:
    """Return uint8 images (N, C, H, W) as one picture (3, H', W'), row by row; small ones enlarged to about 64 pixels.

    >>> import torch
    >>> picture_grid(torch.zeros(20, 1, 16, 16, dtype=torch.uint8)).shape
    torch.Size([3, 134, 662])

    Args:
        images: grey or RGB.
        columns: images in a row.

    Returns:
        The picture, uint8.
    """
    from torchvision.utils import make_grid

    factor = max(1, 64 // images.shape[-1])
    enlarged = images.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
    grid: Tensor = make_grid(enlarged, nrow=columns, padding=2, pad_value=GREY)
    return grid.expand(3, -1, -1)


def save_grid(images: Tensor, path: Path, columns: int = 10) -> None:
    """Write uint8 images (N, C, H, W) as one picture, see `picture_grid`.

    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_grid(torch.zeros(20, 1, 16, 16, dtype=torch.uint8), Path(folder, "a.png"))
    ...     Path(folder, "a.png").is_file()
    True
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(picture_grid(images, columns), path)


def save_image(image: Tensor, path: Path) -> None:
    """Write one uint8 image (C, H, W), grey or RGB.

    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_image(torch.zeros(3, 8, 8, dtype=torch.uint8), Path(folder, "a.png"))
    ...     Path(folder, "a.png").is_file()
    True
    """
    from torchvision.transforms.functional import to_pil_image

    to_pil_image(image).save(path)
