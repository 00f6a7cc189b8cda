"""STL-10 (Coates, Lee and Ng, AISTATS 2011)."""

from __future__ import annotations

from typing import Literal

import torch
from torch.utils.data import TensorDataset
from typing_extensions import override

from gan_convnorm.data.torchvision_data import Foreign, TorchvisionData
from gan_convnorm.errors import BadInput

__all__ = ["STL10"]


class STL10(TorchvisionData):
    """Images of 96x96 pixels, resized: 100,000 unlabeled or 5,000 labelled ones to train, 8,000 to test.

    48 pixels and the unlabeled images are the SNGAN paper's (Miyato et al., 2018). Resizing is bilinear, antialiased.

    >>> data = STL10(part="train")  # no file is read yet
    >>> data.resolution, data.channels, data.num_classes
    (48, 3, 10)

    Args:
        root: folder that has, or gets, stl10_binary/.
        part: unlabeled, or train: the 5,000 images with labels, in 10 classes.
        resolution: side of the resized images in pixels, or "HEIGHTxWIDTH".
        batch_size: images in one discriminator step.
        seed: seeds the order of the images.
        download: fetch the data set (2.6 GB) where it is missing.
    """

    name = "stl10"
    reader_name = "STL10"

    def __init__(
        self,
        root: str = "data",
        part: Literal["unlabeled", "train"] = "unlabeled",
        resolution: int | str = 48,
        batch_size: int = 64,
        seed: int = 0,
        download: bool = False,
    ) -> None:
        if part not in ("unlabeled", "train"):
            raise BadInput(f"part is {part!r}; choose one of: unlabeled, train")
        super().__init__(root, resolution, 3, 10 if part == "train" else None, batch_size, seed, download)
        self.part = part
        self.source = self.reader.url

    @override
    def files(self) -> list[tuple[str, str | None]]:
        reader = self.reader
        return [(f"{reader.base_folder}/{file}", md5) for file, md5 in [*reader.train_list, *reader.test_list]]

    @override
    def open_split(self, train: bool, download: bool) -> Foreign:
        return self.reader(self.root, self.part if train else "test", download=download)

    @override
    def read_split(self, train: bool) -> TensorDataset:
        dataset = self.opened(train)
        labels = torch.from_numpy(dataset.labels).long() if self.num_classes else None
        return self.resized(torch.from_numpy(dataset.data), labels)
