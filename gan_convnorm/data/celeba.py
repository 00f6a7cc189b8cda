"""CelebA (Liu, Luo, Wang and Tang, ICCV 2015)."""

from __future__ import annotations

from torch.utils.data import TensorDataset
from typing_extensions import override

from gan_convnorm.data.decoded import Decoded
from gan_convnorm.data.picture_cache import decode_once
from gan_convnorm.data.pictures import Files, Form
from gan_convnorm.data.torchvision_data import Foreign, TorchvisionData

__all__ = ["CelebA"]


class CelebA(TorchvisionData):
    """162,770 train and 19,962 test faces, aligned, 178x218 pixels: the centre of 178x178, resized; no labels.

    Crop and resizing (bilinear, antialiased) are torch-mimicry's; decoded once into the cache folder.

    >>> data = CelebA()  # no file is read yet
    >>> data.resolution, data.channels, data.num_classes
    (64, 3, None)

    Args:
        root: folder that has, or gets, celeba/.
        resolution: side of the resized images in pixels, or "HEIGHTxWIDTH".
        batch_size: images in one discriminator step.
        seed: seeds the order of the images.
        download: fetch the data set (1.4 GB, with the package gdown) where it is missing.
    """

    name = "celeba"
    reader_name = "CelebA"
    source = "Google Drive"

    def __init__(
        self,
        root: str = "data",
        resolution: int | str = 64,
        batch_size: int = 64,
        seed: int = 0,
        download: bool = False,
    ) -> None:
        super().__init__(root, resolution, 3, None, batch_size, seed, download)

    @override
    def files(self) -> list[tuple[str, str | None]]:
        lists = [(file, md5) for _, md5, file in self.reader.file_list if file.endswith(".txt")]
        return [(f"celeba/{file}", md5) for file, md5 in [*lists, ("img_align_celeba", None)]]

    @override
    def open_split(self, train: bool, download: bool) -> Foreign:
        return self.reader(self.root, "train" if train else "test", target_type=[], download=download)

    def prepare_data(self) -> None:
        """Fetch and decode, on one process of a machine."""
        super().prepare_data()
        for train in (True, False):
            self._decode(train)

    def _decode(self, train: bool) -> Decoded:
        files = Files(self.root / "celeba" / "img_align_celeba", self.opened(train).filename, self.name)
        return decode_once(files, Form(self.resolution, crop_first=178))

    @override
    def read_split(self, train: bool) -> TensorDataset:
        found = self._decode(train)
        found.check(self.name, advice="fetch them again")
        return TensorDataset(found.images)
