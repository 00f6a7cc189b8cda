"""Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017)."""

from __future__ import annotations

from pathlib import Path

from torch.nn import functional as F
from torch.utils.data import TensorDataset
from typing_extensions import override

from gan_convnorm.data.torchvision_data import Foreign, TorchvisionData

__all__ = ["FashionMNIST"]


class FashionMNIST(TorchvisionData):
    """60,000 train and 10,000 test grey images of clothes in 10 classes; 28x28 pixels on black, padded to 32x32.

    >>> data = FashionMNIST()  # no file is read yet
    >>> data.resolution, data.channels, data.num_classes
    (32, 1, 10)

    Args:
        root: folder that has, or gets, FashionMNIST/raw/.
        resolution: side of the images in pixels, or "HEIGHTxWIDTH"; others than 32 are made by resizing (bilinear,
            antialiased).
        batch_size: images in one discriminator step.
        seed: seeds the order of the images.
        download: fetch the data set (31 MB) where it is missing.
    """

    name = "fashion_mnist"
    reader_name = "FashionMNIST"

    def __init__(
        self,
        root: str = "data",
        resolution: int | str = 32,
        batch_size: int = 64,
        seed: int = 0,
        download: bool = False,
    ) -> None:
        super().__init__(root, resolution, 1, 10, batch_size, seed, download)
        self.source = self.reader.mirrors[0]

    @override
    def files(self) -> list[tuple[str, str | None]]:
        return [(f"FashionMNIST/raw/{Path(file).stem}", None) for file, _ in self.reader.resources]

    @override
    def open_split(self, train: bool, download: bool) -> Foreign:
        return self.reader(self.root, train=train, download=download)

    @override
    def read_split(self, train: bool) -> TensorDataset:
        dataset = self.opened(train)
        return self.resized(F.pad(dataset.data[:, None], (2, 2, 2, 2)), dataset.targets.long())
