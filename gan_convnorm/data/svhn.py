"""Street View House Numbers (Netzer et al., 2011)."""

from __future__ import annotations

import torch
from torch.utils.data import TensorDataset
from typing_extensions import override

from gan_convnorm.data.torchvision_data import Foreign, TorchvisionData

__all__ = ["SVHN"]


class SVHN(TorchvisionData):
    """73,257 train and 26,032 test images of 32x32 pixels, cropped digits in 10 classes; "extra" is not used.

    >>> data = SVHN()  # no file is read yet
    >>> data.resolution, data.channels, data.num_classes
    (32, 3, 10)

    Args:
        root: folder that has, or gets, train_32x32.mat and test_32x32.mat.
        resolution: side of the images in pixels, or "HEIGHTxWIDTH"; others than 32 are made by resizing (bilinear,
            antialiased).
        batch_size: images in one discriminator step.
        seed: seeds the order of the images.
        download: fetch the data set (246 MB) where it is missing.
    """

    name = "svhn"
    reader_name = "SVHN"
    source = "http://ufldl.stanford.edu/housenumbers"

    def __init__(
        self,
        root: str = "data",
        resolution: int | str = 32,
        batch_size: int = 64,
        seed: int = 0,
        download: bool = False,
    ) -> None:
        super().__init__(root, resolution, 3, 10, batch_size, seed, download)

    @override
    def files(self) -> list[tuple[str, str | None]]:
        return [tuple(self.reader.split_list[split][1:]) for split in ("train", "test")]

    @override
    def open_split(self, train: bool, download: bool) -> Foreign:
        return self.reader(self.root, "train" if train else "test", download=download)

    @override
    def read_split(self, train: bool) -> TensorDataset:
        dataset = self.opened(train)
        return self.resized(torch.from_numpy(dataset.data).contiguous(), torch.from_numpy(dataset.labels))
