"""Numbers of images that can be scored."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral

from gan_convnorm.errors import BadInput

__all__ = ["MOST", "check_num_fake", "check_numbers", "check_sizes"]

#: fakes of one evaluation
MOST = 10_000_000


def check_sizes(batch_size: int, kid_subset_size: int | None) -> None:
    """Refuse an empty batch, and KID subsets of fewer than two images.

    >>> check_sizes(batch_size=0, kid_subset_size=None)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: batch_size is 0, and must be 1 or more

    Raises:
        BadInput: names the number and its flag.
    """
    if batch_size < 1:
        raise BadInput(f"batch_size is {batch_size}, and must be 1 or more")
    if kid_subset_size is not None and kid_subset_size < 2:
        raise BadInput(
            f"kid_subset_size is {kid_subset_size}, and must be 2 or more (--kid-subset-size): KID compares the images "
            "of a subset with each other"
        )


def check_num_fake(num_fake: int, isc_splits: int, metrics: Iterable[str] = ("isc", "fid")) -> None:
    """Refuse numbers of fakes that cannot be scored.

    >>> check_num_fake(5, isc_splits=10)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: there are 5 fakes; IS over 10 splits needs 20 or more (--num-fake)

    Raises:
        BadInput: fewer than two in every split of the Inception Score (one gives 1), fewer than the two of a
            covariance, no split, more than any machine holds the features of, or a number that is not whole.
    """
    for name, value in (("num_fake", num_fake), ("isc_splits", isc_splits)):
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise BadInput(f"{name} is {value!r}, and must be a whole number")
    if isc_splits < 1:
        raise BadInput(f"isc_splits is {isc_splits}, and must be 1 or more (--isc-splits)")
    needed = 2 * isc_splits if "isc" in metrics else 2
    if num_fake < needed:
        what = f"IS over {isc_splits} splits needs" if "isc" in metrics else "scores need"
        raise BadInput(f"there are {num_fake} fakes; {what} {needed} or more (--num-fake)")
    if num_fake > MOST:
        raise BadInput(f"num_fake is {num_fake}, and must be at most {MOST:,} (--num-fake)")


def check_numbers(num_fake: int, num_real: int, metrics: Iterable[str] = ("isc", "fid")) -> None:
    """Refuse numbers of fakes and real images that cannot be compared.

    >>> check_numbers(num_fake=50, num_real=1)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: FID and KID need 2 or more real images, and there are 1

    Raises:
        BadInput: fewer than two, or for precision and recall than four.
    """
    if {"fid", "kid"} & set(metrics) and num_real < 2:
        raise BadInput(f"FID and KID need 2 or more real images, and there are {num_real}")
    if "prc" in metrics and min(num_fake, num_real) < 4:
        raise BadInput(
            f"precision and recall look at 3 neighbours, and need 4 or more images of either kind; there are "
            f"{num_fake} fakes and {num_real} real images"
        )
