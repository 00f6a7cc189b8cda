"""Images of one size from images of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gan_convnorm.images.size import Size

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

__all__ = ["crop_all", "crop_to"]

Picture = TypeVar("Picture", "Image", "Tensor")


def crop_to(image: Picture, size: Size) -> Picture:
    """Resize to the smallest picture that covers the size (bilinear, antialiased), and crop the centre.

    The aspect ratio stays. For a square the shorter side is resized to its side, as torch-fidelity does it.

    >>> import torch
    >>> crop_to(torch.zeros(3, 8, 12), Size(4, 4)).shape
    torch.Size([3, 4, 4])

    Args:
        image: a PIL image, or a tensor (..., H, W).
        size: of the result.

    Returns:
        An image of the same kind.
    """
    from torchvision.transforms import functional as tv  # takes seconds

    _, height, width = tv.get_dimensions(image)
    if height * size.width <= width * size.height:  # wide for this size: the height decides, the width is cropped
        covering = [size.height, size.height * width // height]
    else:
        covering = [size.width * height // width, size.width]
    cropped: Picture = tv.center_crop(tv.resize(image, covering), list(size))
    return cropped


def crop_all(images: Tensor, size: Size) -> Tensor:
    """Return images (N, C, H, W) of another size by `crop_to`, in parts: the whole may take most of the memory.

    >>> import torch
    >>> crop_all(torch.zeros(2, 3, 8, 12), Size(4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """
    if tuple(images.shape[2:]) == size:
        return images
    import torch

    return torch.cat([crop_to(part.contiguous(), size) for part in torch.split(images, 1000)])
