"""LSUN's scenes (Yu et al., 2015, arXiv:1506.03365)."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile

import torch
from torch.utils.data import TensorDataset
from typing_extensions import override

from gan_convnorm.data.decoded import Decoded
from gan_convnorm.data.picture_cache import decode_once
from gan_convnorm.data.pictures import Form
from gan_convnorm.data.torchvision_data import Foreign, TorchvisionData
from gan_convnorm.errors import BadInput

__all__ = ["LSUN"]


class LSUN(TorchvisionData):
    """LSUN's scenes by category, resized and centre-cropped; the split val (300 images) is the test split.

    Resizing is bilinear and antialiased; decoded once into the cache folder, 49 kB an image at 128 pixels (bedroom has
    3,033,042 images, church_outdoor 126,227). Several categories are classes. Needs the package lmdb.

    >>> data = LSUN(categories=["bedroom", "kitchen"])  # no file is read yet
    >>> data.resolution, data.channels, data.num_classes
    (128, 3, 2)

    Args:
        root: folder that has CATEGORY_train_lmdb/ and CATEGORY_val_lmdb/.
        categories: which, such as bedroom or church_outdoor.
        max_images: the first so many of every category; all when not given.
        resolution: side of the resized images in pixels, or "HEIGHTxWIDTH".
        batch_size: images in one discriminator step.
        seed: seeds the order of the images.
    """

    name = "lsun"
    reader_name = "LSUN"
    source = "https://github.com/fyu/lsun has the script that fetches it"
    downloadable = False

    def __init__(
        self,
        root: str = "data",
        categories: list[str] | str = "bedroom",
        max_images: int | None = None,
        resolution: int | str = 128,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        self.categories = [categories] if isinstance(categories, str) else list(categories)
        if not self.categories or len(set(self.categories)) < len(self.categories):
            raise BadInput(f"categories are {self.categories}; expected one or more different ones")
        if max_images is not None and max_images < 1:
            raise BadInput(f"max_images is {max_images}, and must be 1 or more")
        num_classes = len(self.categories) if len(self.categories) > 1 else None
        super().__init__(root, resolution, 3, num_classes, batch_size, seed, download=False)
        self.max_images = max_images
        self.name = "-".join(["lsun", *self.categories])

    @override
    def files(self) -> list[tuple[str, str | None]]:
        return [(f"{c}_{split}_lmdb/data.mdb", None) for c in self.categories for split in ("train", "val")]

    @override
    def open_split(self, train: bool, download: bool) -> Foreign:
        root = str(self.root.resolve())
        # torchvision leaves a pickle of the keys in the working folder, and trusts whatever it finds there.
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            return self.reader(root, [f"{category}_{'train' if train else 'val'}" for category in self.categories])

    def prepare_data(self) -> None:
        """Decode, on one process of a machine."""
        for train in (True, False):
            self._decode(train)

    def _decode(self, train: bool) -> tuple[Decoded, _Records]:
        records = _Records(self.opened(train), self.max_images, self.name)
        return decode_once(records, Form(self.resolution)), records

    @override
    def read_split(self, train: bool) -> TensorDataset:
        found, records = self._decode(train)
        found.check(self.name, advice="fetch it again")
        if not self.num_classes:
            return TensorDataset(found.images)
        labels = torch.tensor([label for label, _ in records.rows])
        return TensorDataset(found.images, labels[found.kept])


class _Records:
    """Encoded images in torchvision's databases."""

    def __init__(self, dataset: Foreign, limit: int | None, name: str) -> None:
        self.databases = dataset.dbs
        self.rows = [(label, key) for label, database in enumerate(dataset.dbs) for key in database.keys[:limit]]
        self.name = name

    def __len__(self) -> int:
        return len(self.rows)

    def open(self, index: int) -> io.BytesIO:
        label, key = self.rows[index]
        with self.databases[label].env.begin(write=False) as transaction:
            return io.BytesIO(transaction.get(key))

    def label(self, index: int) -> str:
        label, key = self.rows[index]
        return f"{self.databases[label].root}: {key.decode(errors='replace')}"

    def key(self) -> str:
        content = hashlib.sha256(str(len(self.rows)).encode())
        for database in self.databases:
            path = os.path.join(os.path.realpath(database.root), "data.mdb")  # noqa: PTH118
            status = os.stat(path)  # noqa: PTH116
            content.update(os.fsencode(f"\0{path} {status.st_size} {status.st_mtime_ns}"))
        return content.hexdigest()
