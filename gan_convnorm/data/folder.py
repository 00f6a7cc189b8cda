"""A folder of images of any size."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Literal

import torch
from torch.utils.data import TensorDataset
from typing_extensions import override

from gan_convnorm.data.decoded import Decoded
from gan_convnorm.data.folder_layout import LAYOUTS, Listing, find_splits, hold_out
from gan_convnorm.data.image_data import ImageData
from gan_convnorm.data.picture_cache import decode_once
from gan_convnorm.data.pictures import Files, Form
from gan_convnorm.data.vectors import Vectors
from gan_convnorm.errors import BadInput
from gan_convnorm.files.names import shown

__all__ = ["Folder"]


class Folder(ImageData):
    """Images of a folder: train/CLASS/*.jpg and test/CLASS/*.jpg (or val), CLASS/*.jpg, or *.jpg.

    Classes are labelled by the order of the folders' names; one folder alone is no class. Every image is turned upright
    (EXIF), an alpha channel is dropped unless asked for, the image is resized and its centre cropped, once: the bytes
    are kept memory-mapped in the cache folder. Without a test folder a part of the images is held out, the same for
    every seed of a run. A warning says which files were passed over.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png"):
    ...         Path(folder, name).parent.mkdir(exist_ok=True)
    ...         Image.new("RGB", (40, 30)).save(Path(folder, name))
    ...     data = Folder(folder, resolution=16, test_fraction=0.25)
    ...     data.setup()
    >>> data.num_classes, data.train_set.tensors[0].shape
    (2, torch.Size([3, 3, 16, 16]))

    Args:
        path: the folder.
        resolution: side of square images in pixels, or "HEIGHTxWIDTH".
        channels: 3, where grey images are repeated to three channels; 1, where coloured ones are made grey; or 4, where
            the alpha channel is kept, 255 for files without one.
        fit: crop (keep the aspect ratio, crop the centre) or stretch (resize both sides); bilinear, antialiased.
        test_fraction: share of the images that is held out where there is no test folder; 0 holds out none.
        split_seed: seeds which images are held out.
        labels: CSV file with a vector of numbers for each image, in place of classes, see `data.vectors.Vectors`.
        skip_bad: leave out files that cannot be read, with a warning, in place of refusing the folder.
        batch_size: images in one discriminator step.
        seed: seeds the order of the images.

    Raises:
        BadInput: no folder, no images, another layout, a bad file of labels; in `setup`: bad files, an image without a
            line in the file of labels, no space for the cache.
    """

    def __init__(
        self,
        path: str = "",
        resolution: int | str = 32,
        channels: Literal[1, 3, 4] = 3,
        fit: Literal["crop", "stretch"] = "crop",
        test_fraction: float = 0.1,
        split_seed: int = 0,
        labels: str | None = None,
        skip_bad: bool = False,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        if not path:
            raise BadInput(f"the data need a path (--data.path DIR): {LAYOUTS}")
        if channels not in (1, 3, 4) or fit not in ("crop", "stretch"):
            raise BadInput(f"channels is {channels} and fit is {fit!r}; expected 1, 3 or 4, and crop or stretch")
        if not 0 <= test_fraction < 1:
            raise BadInput(f"test_fraction is {test_fraction:g}; expected a share from 0 to below 1")
        self.folder = Path(path)
        train, test, passed_over = find_splits(self.folder)
        if passed_over:
            warnings.warn(passed_over, stacklevel=2)
        self.train_files, self.test_files = (
            (train, test) if test is not None else hold_out(train, test_fraction, split_seed)
        )
        self.vectors = None if labels is None else Vectors(Path(labels))
        names = None if self.vectors is None else self.vectors.names
        num_classes = (len(train.classes) or None) if names is None else None
        super().__init__(resolution, channels, num_classes, batch_size, seed, names)
        self.label_names = [shown(name) for name in (train.classes if names is None else names)]
        self.form = Form(resolution, channels, fit)
        self.skip_bad = skip_bad
        # Also of "." and of "photos/".
        self.name = re.sub(r"[^\w.-]+", "-", self.folder.resolve().name) or "folder"

    def prepare_data(self) -> None:
        """Decode, on one process of a machine."""
        self._decode(self.train_files)
        if self.test_files is not None:
            self._decode(self.test_files)

    @override
    def setup(self, stage: str | None = None) -> None:
        self.train_set = self._read("train", self.train_files)
        self.test_set = None if self.test_files is None else self._read("test", self.test_files)

    def _decode(self, files: Listing) -> Decoded:
        return decode_once(Files(self.folder, files.paths, shown(self.folder)), self.form)

    def _read(self, split: str, files: Listing) -> TensorDataset:
        found = self._decode(files)
        advice = "remove them, or leave them out with skip_bad=True (--data.skip_bad true)"
        found.check(shown(self.folder), skip_bad=self.skip_bad, advice=advice)
        self.file_names[split] = [files.paths[number] for number in found.kept.tolist()]
        if self.vectors is not None:
            return TensorDataset(found.images, self.vectors.of(self.file_names[split]))
        if not files.classes:
            return TensorDataset(found.images)
        labels = torch.tensor(files.labels)[found.kept]
        counts = torch.bincount(labels, minlength=len(files.classes)).tolist()
        if split == "train" and 0 in counts:
            lost = files.classes[counts.index(0)]
            raise BadInput(
                f"no file of the class {shown(lost)} in {shown(self.folder)} can be read, and a generator would be "
                "asked for a class that it has never seen; repair its files, or remove its folder"
            )
        return TensorDataset(found.images, labels)
