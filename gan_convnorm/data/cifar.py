"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009)."""

from __future__ import annotations

import torch
from torch.utils.data import TensorDataset
from typing_extensions import override

from gan_convnorm.data.torchvision_data import Foreign, TorchvisionData

__all__ = ["CIFAR10", "CIFAR100"]


class CIFAR10(TorchvisionData):
    """50,000 train and 10,000 test images of 32x32 pixels in 10 classes.

    >>> data = CIFAR10()  # no file is read yet
    >>> data.resolution, data.channels, data.num_classes
    (32, 3, 10)

    Args:
        root: folder that has, or gets, cifar-10-batches-py/.
        resolution: side of the images in pixels, or "HEIGHTxWIDTH"; others than 32 are made by resizing (bilinear,
            antialiased).
        batch_size: images in one discriminator step.
        seed: seeds the order of the images.
        download: fetch the data set (170 MB) where it is missing.
    """

    name = "cifar10"
    reader_name = "CIFAR10"
    num_labels = 10

    def __init__(
        self,
        root: str = "data",
        resolution: int | str = 32,
        batch_size: int = 64,
        seed: int = 0,
        download: bool = False,
    ) -> None:
        super().__init__(root, resolution, 3, self.num_labels, batch_size, seed, download)
        self.source = self.reader.url

    @override
    def files(self) -> list[tuple[str, str | None]]:
        reader = self.reader
        lists = [*reader.train_list, *reader.test_list, [reader.meta["filename"], reader.meta["md5"]]]
        return [(f"{reader.base_folder}/{file}", md5) for file, md5 in lists]

    @override
    def open_split(self, train: bool, download: bool) -> Foreign:
        return self.reader(self.root, train=train, download=download)

    @override
    def read_split(self, train: bool) -> TensorDataset:
        dataset = self.opened(train)
        images = torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous()
        return self.resized(images, torch.tensor(dataset.targets))


class CIFAR100(CIFAR10):
    """50,000 train and 10,000 test images of 32x32 pixels in 100 classes.

    >>> data = CIFAR100()  # no file is read yet
    >>> data.resolution, data.channels, data.num_classes
    (32, 3, 100)

    Args:
        root: folder that has, or gets, cifar-100-python/.
        resolution: side of the images in pixels, or "HEIGHTxWIDTH"; others than 32 are made by resizing (bilinear,
            antialiased).
        batch_size: images in one discriminator step.
        seed: seeds the order of the images.
        download: fetch the data set (169 MB) where it is missing.
    """

    name = "cifar100"
    reader_name = "CIFAR100"
    num_labels = 100
