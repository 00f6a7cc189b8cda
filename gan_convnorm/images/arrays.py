"""Files of image arrays: .npz, .npy and .pt, of which shapes and types are known before any value is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import torch
from torch import Tensor

from gan_convnorm.errors import BadInput, reason_of
from gan_convnorm.files.names import listed, shown
from gan_convnorm.files.tensors import load_tensors

__all__ = ["IMAGE_NAMES", "Array", "ArrayFile"]

#: names of an array of images; arr_0 is NumPy's name for one without a name
IMAGE_NAMES = ("images", "x", "x_train", "train_images", "arr_0")
ENDINGS = (".npz", ".npy", ".pt", ".pth")


@dataclass(frozen=True)
class Array:
    """One array of a file.

    >>> Array((2,), "uint8", lambda: torch.ones(2, dtype=torch.uint8)).read()
    tensor([1, 1], dtype=torch.uint8)

    Attributes:
        shape: its shape.
        kind: the type of its values, such as uint8.
        read: reads it.
    """

    shape: tuple[int, ...]
    kind: str
    read: Callable[[], Tensor]


class ArrayFile:
    """Arrays by name.

    A .npy file, and a .pt file of one tensor, hold "images"; a .pt file of a pair holds "images" and "labels".

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/a.npz", x=np.zeros((4, 16, 16, 3), np.uint8))
    ...     content = ArrayFile(Path(folder, "a.npz"))
    ...     content.find(IMAGE_NAMES), content.images("x").shape
    ('x', torch.Size([4, 3, 16, 16]))

    Args:
        path: the file.

    Attributes:
        arrays: those that are there.
        others: names of entries that are no arrays.

    Raises:
        BadInput: no file, a damaged one, or one that holds Python objects.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise BadInput(f"there is no file {shown(path)}; expected an .npz, .npy or .pt file of images")
        self.path = path
        self.name = shown(path)
        self.arrays: dict[str, Array] = {}
        self.others: list[str] = []
        self.used: set[str] = set()
        if path.suffix.lower() in (".pt", ".pth"):
            self._tensors(load_tensors(path))
            return
        try:
            if path.suffix.lower() == ".npy":
                mapped = np.load(path, mmap_mode="r", allow_pickle=False)
                if not isinstance(mapped, np.ndarray):
                    mapped.close()
                    raise ValueError("it is an .npz archive")
                self.arrays["images"] = Array(
                    mapped.shape, mapped.dtype.name, lambda: torch.from_numpy(np.array(mapped))
                )
            else:
                self._npz()
        except Exception as error:  # zip and NumPy raise whatever the damage provokes
            reason = reason_of(error)
            raise BadInput(f"{self.name} cannot be read ({reason}); expected a file of arrays, undamaged") from error

    def find(self, names: Iterable[str]) -> str | None:
        """Return the first of the names that is there."""
        found = next((name for name in names if name in self.arrays), None)
        if found is not None:
            self.used.add(found)
        return found

    def read(self, name: str) -> Tensor:
        """Return an array's values.

        Raises:
            BadInput: they are damaged, or Python objects.
        """
        array = self.arrays[name]
        if array.kind == "object":
            raise BadInput(f"{name} of {self.name} holds Python objects, which could run code; expected numbers")
        try:
            return array.read()
        except Exception as error:
            raise BadInput(f"{name} of {self.name} cannot be read ({reason_of(error)})") from error

    def image_shape(self, name: str) -> tuple[int, int, int]:
        """Return channels, height and width of an array of images.

        Raises:
            BadInput: another type or shape, or no image.
        """
        kind, shape = self.arrays[name].kind, self.arrays[name].shape
        what = f"{name} of {self.name} is {kind} of shape {shape}"
        if kind != "uint8":
            extent = ""
            if kind.startswith(("float", "int")) and 0 < np.prod(shape, dtype=float) < 1e9:
                values = self.read(name)
                extent = f" from {values.min().item():.3g} to {values.max().item():.3g}"
            raise BadInput(f"{what}{extent}; expected uint8 from 0 to 255: scale, round and clamp it")
        if len(shape) == 3 and min(shape):
            return 1, shape[1], shape[2]
        first, last = (len(shape) == 4 and shape[axis] in (1, 3) for axis in (1, 3))
        if not first and not last:  # RGBA, unless a side of 4 pixels could be meant
            first, last = (len(shape) == 4 and shape[axis] == 4 for axis in (1, 3))
        if first == last or not min(shape):
            raise BadInput(f"{what}; expected (N, H, W), (N, H, W, C) or (N, C, H, W) with 1, 3 or 4 channels")
        return (shape[1], shape[2], shape[3]) if first else (shape[3], shape[1], shape[2])

    def images(self, name: str) -> Tensor:
        """Return images, uint8 (N, C, H, W); not always contiguous."""
        channels, *sides = self.image_shape(name)
        pixels = self.read(name)
        if channels == 1:
            # Not a permutation: with one channel, its strides would pass for contiguous and select other kernels.
            return pixels.reshape(len(pixels), 1, *sides)
        return pixels if tuple(pixels.shape[1:]) == (channels, *sides) else pixels.permute(0, 3, 1, 2)

    def summary(self) -> str:
        """Return names, types and shapes of all arrays, in one line."""
        held = [f"{name} {array.kind}{list(array.shape)}" for name, array in self.arrays.items()]
        return listed(held) or "no arrays"

    def ignored(self) -> str:
        """Return which entries nobody asked for, in one line; "" for none."""
        names = [name for name in self.arrays if name not in self.used] + self.others
        return f"{self.name}: these entries are not used: {listed(names)}" if names else ""

    def _npz(self) -> None:
        with ZipFile(self.path) as archive:
            for member in archive.namelist():
                name = member.removesuffix(".npy")
                if name == member:
                    self.others.append(member)
                    continue
                with archive.open(member) as file:
                    version = np.lib.format.read_magic(file)
                    read = {
                        (1, 0): np.lib.format.read_array_header_1_0,
                        (2, 0): np.lib.format.read_array_header_2_0,
                    }[version]
                    shape, _, dtype = read(file)
                self.arrays[name] = Array(shape, dtype.name, partial(self._npz_array, name))

    def _npz_array(self, name: str) -> Tensor:
        with np.load(self.path, allow_pickle=False) as archive:
            return torch.from_numpy(archive[name])

    def _tensors(self, content: object) -> None:
        if isinstance(content, Tensor):
            content = {"images": content}
        elif isinstance(content, (tuple, list)) and len(content) == 2:
            content = dict(zip(("images", "labels"), content, strict=True))
        if not isinstance(content, dict):
            length = f" of {len(content)}" if isinstance(content, (tuple, list)) else ""
            raise BadInput(
                f"{self.name} holds a {type(content).__name__}{length}; expected a tensor, a pair (images, labels) or "
                "a dictionary of tensors"
            )
        for key, value in content.items():
            name = str(key)
            if isinstance(value, list) and value and all(type(item) is int and abs(item) < 2**63 for item in value):
                value = torch.tensor(value)
            if isinstance(value, Tensor):
                kind = str(value.dtype).removeprefix("torch.")
                self.arrays[name] = Array(tuple(value.shape), kind, partial(torch.as_tensor, value))
            elif value is not None and name in ("images", "labels"):
                raise BadInput(
                    f"{name} of {self.name} is a {type(value).__name__}; expected a tensor, or a list of whole numbers "
                    "for labels"
                )
            elif value is not None:
                self.others.append(name)
