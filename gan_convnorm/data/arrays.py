"""Images in one file of arrays or tensors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from gan_convnorm.data.image_data import ImageData
from gan_convnorm.errors import BadInput
from gan_convnorm.image_files import to_square

__all__ = ["Arrays"]

#: what the arrays of a split may be called: images, labels
NAMES = {
    "train": (("images", "x", "x_train", "train_images"), ("labels", "y", "y_train", "train_labels")),
    "test": (("test_images", "x_test"), ("test_labels", "y_test")),
}


class Arrays(ImageData):
    """An .npz file, or a .pt file with a tensor, a pair (images, labels) or a dictionary.

    Images are called images, x, x_train or train_images, labels labels, y, y_train or train_labels, and a test split,
    if there is one, test_images or x_test, test_labels or y_test. Images are uint8 of shape (N, H, W), (N, H, W, C) or
    (N, C, H, W) with C 1 or 3; labels are whole numbers from 0. Files that would run code are refused.

    Args:
        path: the file.
        resolution: side of the images in pixels; where it is not theirs, the shorter side is resized (bilinear,
            antialiased) and the centre cropped. The shorter side when not given.
        batch_size: images in one discriminator step.
        seed: seeds the order of the images.

    Raises:
        BadInput: no file, a damaged or foreign one, other names, types or shapes.
    """

    def __init__(self, path: str = "", resolution: int | None = None, batch_size: int = 64, seed: int = 0) -> None:
        if not path:
            raise BadInput("the data need a path (--data.path FILE): an .npz or a .pt file of images")
        self.file = Path(path)
        content = _Content(self.file)
        shape = _image_shape(content, "train")
        if shape is None:
            names = ", ".join(NAMES["train"][0])
            raise BadInput(f"{path} holds {content.summary()}; expected images in one of the arrays {names}")
        channels, *sides = shape
        labels = _labels(content, "train")
        num_classes = None if labels is None else int(labels.max()) + 1
        super().__init__(min(sides) if resolution is None else resolution, channels, num_classes, batch_size, seed)
        test_shape = _image_shape(content, "test")
        if test_shape is not None and test_shape[0] != channels:
            raise BadInput(f"{path} has train images of {channels} channels and test images of {test_shape[0]}")
        self.name = re.sub(r"[^\w.-]+", "-", self.file.stem)

    def setup(self, stage: str | None = None) -> None:
        content = _Content(self.file)
        train = self._split(content, "train")
        assert train is not None  # the constructor has seen it
        self.train_set, self.test_set = train, self._split(content, "test")

    def _split(self, content: _Content, split: str) -> TensorDataset | None:
        images = content.find(NAMES[split][0])
        shape = _image_shape(content, split)
        if images is None or shape is None:
            return None
        pixels = content.read(images)
        if pixels.dim() == 3:
            pixels = pixels[:, None]
        elif pixels.shape[1] != shape[0] or pixels.shape[2] != shape[1]:
            pixels = pixels.permute(0, 3, 1, 2)
        if tuple(shape[1:]) != (self.resolution, self.resolution):
            pixels = torch.cat([to_square(part.contiguous(), self.resolution) for part in pixels.split(1000)])
        labels = _labels(content, split)
        if labels is not None and self.num_classes is not None and labels.max() >= self.num_classes:
            raise BadInput(f"{self.file} has test labels up to {labels.max()}, and the train labels end before it")
        return TensorDataset(pixels.contiguous()) if labels is None else TensorDataset(pixels.contiguous(), labels)


class _Content:
    """Arrays by name, of which the shapes and types are known before the values are read."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise BadInput(f"there is no file {path}; expected an .npz or a .pt file of images")
        self.path = path
        try:
            self.arrays = _tensors(path) if path.suffix in (".pt", ".pth") else _npz(path)
        except BadInput:
            raise
        except Exception as error:  # zip, NumPy and the unpickler raise as the damage has it
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise BadInput(
                f"{path} cannot be read ({reason}); expected an .npz file of arrays or a .pt file of tensors"
            ) from error

    def find(self, names: tuple[str, ...]) -> str | None:
        return next((name for name in names if name in self.arrays), None)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.arrays[name][0])

    def kind(self, name: str) -> str:
        return self.arrays[name][1]

    def read(self, name: str) -> Tensor:
        try:
            return self.arrays[name][2]()
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise BadInput(f"{name} of {self.path} cannot be read ({reason})") from error

    def summary(self) -> str:
        held = [f"{name} {self.kind(name)}{list(self.shape(name))}" for name in self.arrays]
        return ", ".join(held[:8]) or "no arrays"


def _npz(path: Path) -> dict[str, Any]:
    from zipfile import ZipFile

    arrays = {}
    with ZipFile(path) as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }[version]
                shape, _, dtype = read(file)
            name = member.removesuffix(".npy")
            arrays[name] = (shape, dtype.name, lambda name=name: _npz_array(path, name))
    return arrays


def _npz_array(path: Path, name: str) -> Tensor:
    with np.load(path, allow_pickle=False) as archive:
        return torch.from_numpy(archive[name])


def _tensors(path: Path) -> dict[str, Any]:
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if isinstance(content, Tensor):
        content = {"images": content}
    elif isinstance(content, (tuple, list)):
        content = dict(zip(("images", "labels"), content, strict=False))
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds a {type(content).__name__}; expected a tensor, a pair or a dictionary of tensors")
    return {
        str(name): (tensor.shape, str(tensor.dtype).removeprefix("torch."), lambda tensor=tensor: tensor)
        for name, tensor in content.items()
        if isinstance(tensor, Tensor)
    }


def _image_shape(content: _Content, split: str) -> tuple[int, int, int] | None:
    """Channels, height and width, or None where the split is not there."""
    name = content.find(NAMES[split][0])
    if name is None:
        return None
    kind, shape = content.kind(name), content.shape(name)
    what = f"{name} of {content.path} is {kind} of shape {shape}"
    if kind != "uint8":
        raise BadInput(f"{what}; expected uint8 from 0 to 255: scale, round and clamp it")
    if len(shape) == 3 and min(shape):
        return 1, shape[1], shape[2]
    first, last = (len(shape) == 4 and shape[axis] in (1, 3) for axis in (1, 3))
    if first == last or not min(shape):
        raise BadInput(f"{what}; expected (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels")
    return (shape[1], shape[2], shape[3]) if first else (shape[3], shape[1], shape[2])


def _labels(content: _Content, split: str) -> Tensor | None:
    """int64 (N,), or None where there are none."""
    name, images = (content.find(names) for names in reversed(NAMES[split]))
    if name is None or images is None:
        return None
    count = content.shape(images)[0]
    if content.shape(name) not in ((count,), (count, 1)):
        raise BadInput(
            f"{name} of {content.path} has the shape {content.shape(name)}; expected one label for each of the {count} "
            f"{images}: ({count},)"
        )
    kind = content.kind(name)
    labels = content.read(name).flatten().long()
    if "int" not in kind or labels.min() < 0:
        raise BadInput(f"{name} of {content.path} are {kind} from {labels.min()}; expected whole numbers from 0")
    return labels
