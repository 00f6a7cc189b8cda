"""Handwritten digits, embedded in scikit-learn: real images without a download."""

from __future__ import annotations

import torch
from torch.nn import functional as F
from torch.utils.data import TensorDataset
from typing_extensions import override

from gan_convnorm.data.image_data import ImageData

__all__ = ["Digits"]


class Digits(ImageData):
    """1,797 handwritten digits of 8x8 pixels and 17 grey levels, resized; 10 classes.

    The test part of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, UCI, 1998), as scikit-learn
    ships it. Every fifth image is in the test split (360), the others train (1,437); the writers are in both.

    >>> data = Digits()
    >>> data.setup()
    >>> data.split("test").tensors[0].shape
    torch.Size([360, 1, 16, 16])

    Args:
        resolution: side of the resized images in pixels, or "HEIGHTxWIDTH", to which they are stretched (bicubic).
        batch_size: images in one discriminator step.
        seed: seeds the order of the images.
    """

    name = "digits"

    def __init__(self, resolution: int | str = 16, batch_size: int = 32, seed: int = 0) -> None:
        super().__init__(resolution, channels=1, num_classes=10, batch_size=batch_size, seed=seed)

    @override
    def setup(self, stage: str | None = None) -> None:
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = torch.from_numpy(digits.images).float()[:, None] * (255 / 16)
        images = F.interpolate(images, size=self.size, mode="bicubic").round().clamp(0, 255).to(torch.uint8)
        labels = torch.from_numpy(digits.target).long()
        is_test = torch.arange(len(images)) % 5 == 0
        self.train_set = TensorDataset(images[~is_test], labels[~is_test])
        self.test_set = TensorDataset(images[is_test], labels[is_test])
