"""Corrupted images from a folder of .npy files, as CIFAR-10-C and CIFAR-100-C are published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.robustness.corruptions import CORRUPTIONS, SEVERITIES

__all__ = ["CorruptionFolder"]


class CorruptionFolder:
    """A folder with `<corruption>.npy`, uint8 (5 n, H, W, C), one severity after the other, and `labels.npy` (5 n,).

    Nothing but the asked-for severity is read into memory. Files of other corruptions are left alone.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as path:
    ...     np.save(f"{path}/fog.npy", np.zeros((10, 8, 8, 1), np.uint8))
    ...     np.save(f"{path}/labels.npy", np.arange(10) % 2)
    ...     folder = CorruptionFolder(path)
    ...     images, labels = folder("fog", severity=5)
    >>> folder.names, images.shape, labels
    (['fog'], torch.Size([2, 1, 8, 8]), tensor([0, 1]))

    Args:
        path: the folder.

    Attributes:
        names: the corruptions of `CORRUPTIONS` that are there.

    Raises:
        BadInput: no such folder, no labels, no corruption of ours, or files that do not fit together.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise BadInput(f"there is no corruption folder {self.path}; expected one with NAME.npy and labels.npy")
        self.names = [name for name in CORRUPTIONS if (self.path / f"{name}.npy").is_file()]
        if not self.names:
            raise BadInput(
                f"the corruption folder {self.path} holds none of: {', '.join(f'{name}.npy' for name in CORRUPTIONS)}"
            )
        labels = self._read("labels")
        if labels.ndim != 1 or len(labels) % len(SEVERITIES) or not len(labels):
            raise BadInput(f"{self.path / 'labels.npy'} has shape {labels.shape}; expected (5 n,), five severities")
        if labels.dtype.kind not in "uif":
            raise BadInput(f"{self.path / 'labels.npy'} holds {labels.dtype}; expected whole numbers from 0")
        if labels.dtype.kind == "f" or not 0 <= labels.min() <= labels.max() < 2**31:
            raise BadInput(
                f"{self.path / 'labels.npy'} holds {labels.dtype} from {labels.min()} to {labels.max()}; expected "
                "whole numbers from 0"
            )
        self.labels = torch.from_numpy(labels.astype(np.int64))
        for name in self.names:
            images = self._read(name)
            if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(self.labels):
                raise BadInput(
                    f"{self.path / name}.npy holds {images.dtype} of shape {images.shape}; expected uint8 of shape "
                    f"({len(self.labels)}, H, W, C) as labels.npy has it"
                )

    def check(self, shape: tuple[int, ...], num_classes: int | None) -> None:
        """Refuse images of another shape (C, H, W) than the data's, and labels that are not among its classes.

        Raises:
            BadInput: the folder is of other data.
        """
        for name in self.names:
            height, width, channels = self._read(name).shape[1:]
            if (channels, height, width) != shape:
                raise BadInput(
                    f"the images in {self.path / name}.npy have shape {(channels, height, width)}; expected the "
                    f"data's {shape}"
                )
        if num_classes is not None and int(self.labels.max()) >= num_classes:
            raise BadInput(
                f"{self.path / 'labels.npy'} has labels up to {int(self.labels.max())}; expected those of the data's "
                f"{num_classes} classes, from 0"
            )

    def __call__(self, name: str, severity: int) -> tuple[Tensor, Tensor]:
        """Return images, uint8 (n, C, H, W), and labels, int64 (n,), of one corruption and severity."""
        count = len(self.labels) // len(SEVERITIES)
        part = slice((severity - 1) * count, severity * count)
        read = torch.from_numpy(np.array(self._read(name)[part])).permute(0, 3, 1, 2)
        images = torch.empty(read.shape, dtype=torch.uint8)  # the usual strides, also for one channel
        return images.copy_(read), self.labels[part]

    def _read(self, name: str) -> np.ndarray:
        path = self.path / f"{name}.npy"
        try:
            if not path.is_file():
                raise FileNotFoundError(f"there is no file {path}")
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            if not isinstance(array, np.ndarray):
                array.close()
                raise ValueError("it is an .npz archive")
        except Exception as error:  # NumPy raises many types
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise BadInput(f"{path} cannot be read as an array ({reason}); expected a .npy file") from error
        return array
