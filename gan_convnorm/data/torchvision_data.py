"""Data sets that torchvision reads; one-line errors where it cannot."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor
from torch.utils.data import TensorDataset
from typing_extensions import override

from gan_convnorm.data.image_data import ImageData
from gan_convnorm.errors import BadInput, reason_of
from gan_convnorm.files.names import listed
from gan_convnorm.images.fitting import crop_all

__all__ = ["Foreign", "TorchvisionData"]

#: torchvision's data sets and their classes, which have no types
Foreign: TypeAlias = Any


class TorchvisionData(ImageData):
    """A data set in torchvision's layout; subclasses say how it is opened and what it holds.

    >>> from gan_convnorm.data import SVHN
    >>> SVHN(root="no/such/folder").setup()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: there is no folder no/such/folder to read svhn from; looked for train_32x32.mat, ...

    Args:
        root: folder that has or gets the data set's files.
        resolution: side of the images in pixels, or "HEIGHTxWIDTH"; others than its own are made by resizing.
        channels: channels of the images.
        num_classes: number of classes, None for images without labels.
        batch_size: images in one discriminator step.
        seed: seeds the order of the images.
        download: fetch the data set where it is missing.

    Attributes:
        reader_name: the class in torchvision.datasets.
        source: where the files come from.
        downloadable: True if torchvision can fetch them.
    """

    reader_name: str
    source: str
    downloadable = True

    def __init__(
        self,
        root: str,
        resolution: int | str,
        channels: int,
        num_classes: int | None,
        batch_size: int,
        seed: int,
        download: bool,
    ) -> None:
        super().__init__(resolution, channels, num_classes, batch_size, seed)
        self.root = Path(root)
        self.download = download

    @property
    def reader(self) -> Foreign:
        """Return the class in torchvision.datasets."""
        from torchvision import datasets  # takes seconds, and digits do without

        return getattr(datasets, self.reader_name)

    @abstractmethod
    def files(self) -> list[tuple[str, str | None]]:
        """Return the files that must lie in the root: paths below it, with MD5 or None."""

    @abstractmethod
    def open_split(self, train: bool, download: bool) -> Foreign:
        """Return torchvision's data set."""

    @abstractmethod
    def read_split(self, train: bool) -> TensorDataset:
        """Return the train or the test split at this resolution."""

    def prepare_data(self) -> None:
        """Fetch the data set if asked to, on one process of a machine."""
        if self.download:
            for train in (True, False):
                self.opened(train, download=True)

    @override
    def setup(self, stage: str | None = None) -> None:
        self.train_set, self.test_set = (self.read_split(train) for train in (True, False))

    def opened(self, train: bool, download: bool = False) -> Foreign:
        """Return torchvision's data set, or raise with the reason in one line.

        Args:
            train: open the train split, else the test split.
            download: fetch the files first.

        Returns:
            An instance of `reader`.

        Raises:
            BadInput: a failed download, a missing root, missing or damaged files, a missing package.
        """
        try:
            return self.open_split(train, download)
        except ImportError as error:
            raise BadInput(f"{self.name} needs a package: python -m pip install {error.name}") from error
        except Exception as error:  # torchvision raises many types
            reason = reason_of(error)
            looked_for = f"looked for {listed([file for file, _ in self.files()], 2)} in it"
            fetch = "download=True (--data.download true) fetches it and unpacks its archive"
            advice = f"root=DIR (--data.root DIR) names another folder, {fetch if self.downloadable else self.source}"
            if download:
                raise BadInput(
                    f"{self.name} cannot be downloaded from {self.source} ({reason}); fetch it where there is a "
                    f"network and unpack it in {self.root}; {looked_for}"
                ) from error
            if not self.root.is_dir():
                raise BadInput(
                    f"there is no folder {self.root} to read {self.name} from; {looked_for}; {advice}"
                ) from error
            if wrong := self._wrong():
                raise BadInput(f"{self.root} does not hold {self.name} ({'; '.join(wrong)}); {advice}") from error
            raise BadInput(f"{self.name} in {self.root} cannot be read ({reason}); {looked_for}") from error

    def _wrong(self) -> list[str]:
        from torchvision.datasets.utils import check_integrity

        missing = [file for file, _ in self.files() if not (self.root / file).exists()]
        damaged = [
            file
            for file, md5 in self.files()
            if md5 is not None and file not in missing and not check_integrity(os.fspath(self.root / file), md5)
        ]
        found = (("missing", missing), ("of another checksum than the published one", damaged))
        return [f"{what}: {listed(files, 2)}" for what, files in found if files]

    def resized(self, images: Tensor, labels: Tensor | None) -> TensorDataset:
        """Return a split, its images resized from the data set's own size."""
        images = crop_all(images, self.size)
        return TensorDataset(images) if labels is None else TensorDataset(images, labels)
