"""Decoded pictures as one tensor, and what is said of those that could not be decoded."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.files.names import listed

__all__ = ["Decoded"]


@dataclass(frozen=True)
class Decoded:
    """Decoded pictures as one tensor, with the list of those that could not be decoded.

    Attributes:
        images: uint8 (N, C, H, W), memory-mapped and read-only.
        kept: int64 (N,), their numbers among the pictures.
        bad: the pictures that cannot be decoded, each as "name (reason)".
        notes: kind of conversion -> number of pictures that needed it.

    >>> import torch
    >>> found = Decoded(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.tensor([0]), ["b.png (damaged)"], {})
    >>> found.check("photos")
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: 1 of 2 files of photos cannot be read: b.png (damaged); remove them
    """

    images: Tensor
    kept: Tensor
    bad: list[str]
    notes: dict[str, int]

    def check(self, name: str, *, skip_bad: bool = False, advice: str = "remove them") -> None:
        """Raise or warn because of bad files; warn of conversions.

        Args:
            name: the data set, for messages.
            skip_bad: warn of bad files and go on without them.
            advice: the last words of the error.

        Raises:
            BadInput: bad files without `skip_bad`, or no good one.
        """
        for note, number in self.notes.items():
            warnings.warn(f"{number} images of {name} {note}", stacklevel=3)
        if not self.bad:
            return
        message = f"{len(self.bad)} of {len(self.bad) + len(self.images)} files of {name} cannot be read"
        if not skip_bad or not len(self.images):
            raise BadInput(f"{message}: {listed(self.bad)}; {advice}")
        warnings.warn(f"{message} and are left out: {listed(self.bad)}", stacklevel=3)
