"""Files of mu and sigma, the mean and covariance of features, as pytorch-fid and TTUR write them, read and checked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import check_replaceable
from gan_convnorm.files.names import shown
from gan_convnorm.images.arrays import IMAGE_NAMES, ArrayFile

__all__ = ["PROVENANCE", "check_fid", "check_statistics_path", "is_statistics_file", "read_statistics"]

#: names of the arrays, which pytorch-fid and the first code, TTUR in TensorFlow, share
ARRAYS = ("mu", "sigma")
#: names of what only our files say besides
PROVENANCE = ("extractor", "weights", "weights_file", "reference", "count")
#: largest difference of sigma from its transpose, as a part of sigma's largest entry: float32's rounding
ASYMMETRY = 1e-5
LONGEST = 1000  # characters of a text


def is_statistics_file(path: Path) -> bool:
    """Tell whether an .npz file holds mu or sigma, and no array of images.

    >>> is_statistics_file(Path("a folder"))
    False

    Args:
        path: any path.

    Returns:
        True for statistics.

    Raises:
        BadInput: a damaged .npz file.
    """
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    arrays = ArrayFile(path).arrays
    return not arrays.keys().isdisjoint(ARRAYS) and arrays.keys().isdisjoint(IMAGE_NAMES)


def check_fid(metrics: Iterable[str]) -> None:
    """Raise when no statistics are computed for any of the metrics.

    >>> check_fid(["isc", "kid"])
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: statistics are computed for FID alone, which is not among the metrics; name fid ...

    Raises:
        BadInput: FID is not among them.
    """
    if "fid" not in metrics:
        raise BadInput("statistics are computed for FID alone, which is not among the metrics; name fid as well")


def check_statistics_path(path: Path, overwrite: bool = False) -> None:
    """Raise when statistics must not be written to a file.

    >>> check_statistics_path(Path("cats.txt"))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: the statistics' file cats.txt does not end in .npz; give it a name that does

    Args:
        path: the file.
        overwrite: replace a file of any kind.

    Raises:
        BadInput: no folder to write to, a name that does not end in .npz, or a file of another kind.
    """
    if path.suffix.lower() != ".npz":
        raise BadInput(f"the statistics' file {shown(path)} does not end in .npz; give it a name that does")
    if not path.absolute().parent.is_dir():
        raise BadInput(f"there is no folder {shown(path.absolute().parent)} for the statistics in {shown(path.name)}")
    check_replaceable(path, is_statistics_file, overwrite)


def read_statistics(path: Path) -> dict[str, Any]:
    """Return a file's entries by name.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder, "cats.npz"), mu=np.zeros(2), sigma=np.eye(2), count=500)
    ...     found = read_statistics(Path(folder, "cats.npz"))
    >>> found["sigma"].shape, found["count"]
    (torch.Size([2, 2]), 500)

    Args:
        path: the file.

    Returns:
        "mu", float32 of shape (D,); "sigma", float64 of shape (D, D); those of `PROVENANCE` that are there:
        "count" is an int, the others are str.

    Raises:
        BadInput: no such file, other shapes or types, values that are NaN or infinite, or no covariance.
    """
    content = ArrayFile(path)
    for name, sides in zip(ARRAYS, (1, 2), strict=True):
        array = content.arrays.get(name)
        if array is None or array.kind not in ("float32", "float64") or len(array.shape) != sides:
            raise BadInput(
                f"{content.name} holds {content.summary()}; expected the statistics mu (D,) and sigma (D, D), float32 "
                "or float64"
            )
    size, shape = content.arrays["mu"].shape[0], content.arrays["sigma"].shape
    if size == 0 or shape != (size, size):
        raise BadInput(f"{content.name}: mu is of {size} features, and sigma has the shape {shape}; expected one D")
    # torch-fidelity has the mean in float32, and compares means of one type alone.
    mu, sigma = content.read("mu").float(), content.read("sigma").double()
    _check_values(content.name, mu, sigma)
    return {"mu": mu, "sigma": sigma, **_provenance(content)}


def _check_values(name: str, mu: Tensor, sigma: Tensor) -> None:
    if not (mu.isfinite().all() and sigma.isfinite().all()):
        raise BadInput(f"{name}: mu or sigma has values that are NaN or infinite; compute the statistics again")
    largest, least = sigma.abs().max().item(), sigma.diagonal().min().item()
    difference = (sigma - sigma.T).abs().max().item()
    if difference > ASYMMETRY * largest or least < 0:
        raise BadInput(
            f"{name}: sigma is no covariance: entries differ from the transposed ones by up to {difference:.3g}, where "
            f"the largest is {largest:.3g}, and the smallest variance is {least:.3g}; expected a symmetric matrix with "
            "no negative variance"
        )
    # The variance in each direction: one below 0 by more than rounding would make a distance below 0.
    room = len(sigma) * torch.finfo(torch.float32).eps * largest
    if torch.linalg.cholesky_ex(sigma + room * torch.eye(len(sigma), dtype=sigma.dtype)).info:
        raise BadInput(f"{name}: sigma is no covariance: the variance in some direction is negative; compute it again")


def _provenance(content: ArrayFile) -> dict[str, str | int]:
    """Return the entries of `PROVENANCE` that a file has."""
    found: dict[str, str | int] = {}
    with np.load(content.path, allow_pickle=False) as archive:
        for name in PROVENANCE:
            array = content.arrays.get(name)
            if array is None:
                continue
            expected = ("int", 64) if name == "count" else ("str", 32 * LONGEST)  # with the most bits
            kind, bits = array.kind[:3], array.kind[3:]
            if array.shape != () or kind != expected[0] or int(bits or 0) > expected[1]:
                what = "a whole number" if name == "count" else "a text"
                raise BadInput(f"{content.name}: {name} is {array.kind} of shape {array.shape}; expected {what}")
            value: str | int = archive[name].item()
            if isinstance(value, int) and value < 2:
                raise BadInput(f"{content.name}: its statistics are of {value} images; expected 2 or more")
            found[name] = value if isinstance(value, int) or value.isprintable() else ascii(value)
    return found
