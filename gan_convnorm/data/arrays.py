"""Images in one file of arrays or tensors."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import TensorDataset
from typing_extensions import override

from gan_convnorm.data.image_data import ImageData
from gan_convnorm.errors import BadInput
from gan_convnorm.files.names import shown
from gan_convnorm.images.arrays import IMAGE_NAMES, ArrayFile
from gan_convnorm.images.fitting import crop_all

__all__ = ["Arrays"]

#: names of a split's arrays: of images, of labels
NAMES = {
    "train": (IMAGE_NAMES, ("labels", "y", "y_train", "train_labels")),
    "test": (("test_images", "x_test"), ("test_labels", "y_test")),
}


class Arrays(ImageData):
    """Images of an .npz or .npy file, or of a .pt file with a tensor, a pair (images, labels) or a dictionary.

    Images are called images, x, x_train or train_images, labels labels, y, y_train or train_labels, and a test split,
    if there is one, test_images or x_test, test_labels or y_test. Images are uint8 of shape (N, H, W), (N, H, W, C) or
    (N, C, H, W) with C 1, 3 or 4. Labels are whole numbers from 0, and every class up to the largest has images: a
    generator would otherwise be asked for a class that it has never seen. Files that would run code are refused.

    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/shapes.npz"
    ...     np.savez(path, x=np.zeros((4, 16, 16, 3), np.uint8), y=[0, 1, 0, 1])
    ...     data = Arrays(path)
    ...     data.setup()
    >>> data.name, data.num_classes, data.train_set.tensors[0].shape
    ('shapes', 2, torch.Size([4, 3, 16, 16]))

    Args:
        path: the file.
        resolution: side of the images in pixels, or "HEIGHTxWIDTH"; where it is not theirs, they are resized (bilinear,
            antialiased) and the centre is cropped. The shorter side when not given.
        batch_size: images in one discriminator step.
        seed: seeds the order of the images.

    Raises:
        BadInput: no file, a damaged or foreign one, other names, types or shapes, a class without images.
    """

    def __init__(
        self, path: str = "", resolution: int | str | None = None, batch_size: int = 64, seed: int = 0
    ) -> None:
        if not path:
            raise BadInput("the data need a path (--data.path FILE): an .npz, .npy or .pt file of images")
        self.file = Path(path)
        content = ArrayFile(self.file)
        images = content.find(NAMES["train"][0])
        if images is None:
            names = ", ".join(NAMES["train"][0])
            raise BadInput(f"{shown(path)} holds {content.summary()}; expected images in one of the arrays {names}")
        channels, *sides = content.image_shape(images)
        labels = _labels(content, "train")
        if labels is not None:
            _check_classes(content, labels)
        num_classes = None if labels is None else int(labels.max()) + 1
        super().__init__(min(sides) if resolution is None else resolution, channels, num_classes, batch_size, seed)
        test_images = content.find(NAMES["test"][0])
        if test_images is not None and (found := content.image_shape(test_images)[0]) != channels:
            raise BadInput(f"{shown(path)} has training images of {channels} channels and test images of {found}")
        test_labels = _labels(content, "test")
        if test_labels is not None and num_classes is not None and test_labels.max() >= num_classes:
            raise BadInput(
                f"{shown(path)} has test labels up to {test_labels.max()}, and the train labels end before it"
            )
        if ignored := content.ignored():
            warnings.warn(ignored, stacklevel=2)
        self.name = re.sub(r"[^\w.-]+", "-", self.file.stem)

    @override
    def setup(self, stage: str | None = None) -> None:
        content = ArrayFile(self.file)
        train = self._split(content, "train")
        assert train is not None  # the constructor has seen it
        self.train_set, self.test_set = train, self._split(content, "test")

    def _split(self, content: ArrayFile, split: str) -> TensorDataset | None:
        name = content.find(NAMES[split][0])
        if name is None:
            return None
        pixels = crop_all(content.images(name), self.size)
        labels = _labels(content, split)
        return TensorDataset(pixels.contiguous()) if labels is None else TensorDataset(pixels.contiguous(), labels)


def _labels(content: ArrayFile, split: str) -> Tensor | None:
    """Return labels, int64 (N,), or None where there are none.

    Raises:
        BadInput: not one whole number from 0 for each image.
    """
    images, name = (content.find(names) for names in NAMES[split])
    if name is None or images is None:
        return None
    count, array = content.arrays[images].shape[0], content.arrays[name]
    if array.shape not in ((count,), (count, 1)):
        raise BadInput(
            f"{name} of {content.name} has the shape {array.shape}; expected one label for each of the {count} "
            f"{images}: ({count},)"
        )
    if "int" not in array.kind and array.kind != "object":
        raise BadInput(f"{name} of {content.name} are {array.kind}; expected whole numbers from 0")
    labels = content.read(name).flatten().long()
    if labels.min() < 0:
        raise BadInput(f"{name} of {content.name} are {array.kind} from {labels.min()}; expected whole numbers from 0")
    return labels


def _check_classes(content: ArrayFile, labels: Tensor) -> None:
    """Refuse a class without images: a share of the fakes, and of the networks' embeddings, would be of it.

    Raises:
        BadInput: names the first such class.
    """
    found = torch.unique(labels)
    expected = torch.arange(len(found))
    if not torch.equal(found, expected):
        missing = int(expected[found != expected][0])
        raise BadInput(
            f"the labels of {content.name} are {len(found)} different numbers from {found[0]} to {found[-1]}, and "
            f"class {missing} has no image; expected every class from 0 on: number them anew, "
            "numpy.unique(labels, return_inverse=True)[1]"
        )
