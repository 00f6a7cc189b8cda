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
    """Reads `<corruption>.npy`, uint8 (5 n, H, W, C) with the severities one after the other, and `labels.npy` (5 n,).

    Nothing but the asked-for severity is read into memory. Files of other corruptions are left alone.

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
        self.labels = torch.from_numpy(np.array(self._read("labels"))).long()
        if self.labels.dim() != 1 or len(self.labels) % len(SEVERITIES) or not len(self.labels):
            raise BadInput(
                f"{self.path / 'labels.npy'} has shape {tuple(self.labels.shape)}; expected (5 n,), five severities"
            )
        for name in self.names:
            images = self._read(name)
            if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(self.labels):
                raise BadInput(
                    f"{self.path / name}.npy holds {images.dtype} of shape {images.shape}; expected uint8 of shape "
                    f"({len(self.labels)}, H, W, C) as labels.npy has it"
                )

    def __call__(self, name: str, severity: int) -> tuple[Tensor, Tensor]:
        """Images, uint8 (n, C, H, W), and labels, int64 (n,), of one corruption and severity."""
        count = len(self.labels) // len(SEVERITIES)
        part = slice((severity - 1) * count, severity * count)
        read = torch.from_numpy(np.array(self._read(name)[part])).permute(0, 3, 1, 2)
        images = torch.empty(read.shape, dtype=torch.uint8)  # the usual strides, also for one channel
        return images.copy_(read), self.labels[part]

    def _read(self, name: str) -> np.ndarray:
        path = self.path / f"{name}.npy"
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise BadInput(f"{path} cannot be read as an array ({error}); expected a .npy file") from error
