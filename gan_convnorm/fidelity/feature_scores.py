"""Scores of features of fakes against those of real images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.image_counts import check_num_fake, check_numbers
from gan_convnorm.fidelity.metrics import (
    effective_rank,
    frechet_distance,
    inception_score,
    kernel_distance,
    precision_and_recall,
    statistics,
)
from gan_convnorm.fidelity.real_features import RealFeatures
from gan_convnorm.fidelity.scores import Scores

__all__ = ["score_features"]

KID_SUBSETS, KID_SUBSET_SIZE = 100, 1000  # torch-fidelity's defaults


def score_features(
    fakes: Mapping[str, Tensor],
    real: RealFeatures,
    layer: Mapping[str, str],
    *,
    isc_splits: int = 10,
    kid_subset_size: int | None = None,
) -> Scores:
    """Return the scores of fakes by their features.

    >>> import torch
    >>> real = RealFeatures(50, {"features": torch.randn(50, 4)})
    >>> sorted(score_features({"features": torch.randn(60, 4)}, real, {"fid": "features", "prc": "features"}).values)
    ['fid', 'precision', 'recall']

    Args:
        fakes: their features by layer, shape (n, D).
        real: the real images; not used for the Inception Score.
        layer: the extractor's layer by metric of `METRICS`, of the metrics to compute.
        isc_splits: parts over which the Inception Score's mean and deviation are taken.
        kid_subset_size: images in each of the 100 subsets of KID; by default 1,000, or all of the smaller set.

    Returns:
        The scores. Their protocol has the number of fakes, the splits and the subsets.

    Raises:
        BadInput: too few images; features that are NaN, infinite or of other shapes.
    """
    fakes = {name: _checked(rows, f"the fakes' {name}") for name, rows in fakes.items()}
    real = replace(real, rows={name: _checked(rows, f"the real images' {name}") for name, rows in real.rows.items()})
    count = len(next(iter(fakes.values())))
    check_num_fake(count, isc_splits, layer)
    if real.count is not None:
        check_numbers(count, real.count, layer)
    for name in {layer[metric] for metric in ("fid", "kid", "prc") if metric in layer} & real.rows.keys():
        if fakes[name].shape[1] != real.rows[name].shape[1]:
            sizes = fakes[name].shape[1], real.rows[name].shape[1]
            raise BadInput(f"a fake has {sizes[0]} {name} and a real image {sizes[1]}; expected equal numbers")
    values: dict[str, float] = {}
    ranks: dict[str, float] = {}
    protocol: dict[str, Any] = {"n_fake": count}
    if "isc" in layer:
        values |= inception_score(fakes[layer["isc"]], isc_splits)
        protocol["isc_splits"] = isc_splits
    if "fid" in layer:
        rows = fakes[layer["fid"]]
        _warn_of_few(count, real.count, rows.shape[1])
        found = statistics(rows)
        expected = real.statistics or statistics(real.rows[layer["fid"]])
        values |= frechet_distance(found, expected)
        ranks = {"fake": effective_rank(found), "real": effective_rank(expected)}
    if "kid" in layer:
        size = _subset_size(kid_subset_size, count, real.rows[layer["kid"]])
        values |= kernel_distance(fakes[layer["kid"]], real.rows[layer["kid"]], KID_SUBSETS, size)
        protocol |= {"kid_subsets": KID_SUBSETS, "kid_subset_size": size}
    if "prc" in layer:
        values |= precision_and_recall(fakes[layer["prc"]], real.rows[layer["prc"]])
    return Scores(values, protocol, ranks)


def _checked(rows: Tensor, name: str) -> Tensor:
    """Return features (n, D) as the scores take them: finite, of 32 bits at least, on the CPU, without gradients."""
    if rows.dim() != 2 or not rows.is_floating_point():
        raise BadInput(f"{name} are {rows.dtype} of shape {tuple(rows.shape)}; expected floating-point (n, D)")
    rows = rows.detach().cpu()
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    if not rows.isfinite().all():
        raise BadInput(f"{name} hold NaN or infinite values, of which no score can be taken")
    return rows


def _warn_of_few(num_fake: int, num_real: int | None, features: int) -> None:
    if min(num_fake, num_fake if num_real is None else num_real) > features:
        return
    compared = "" if num_real is None else f" and {num_real} real images"
    warnings.warn(
        f"FID of {num_fake} fakes{compared} on {features} features is far too high: a covariance needs more images "
        "than features; compare only scores of the same numbers",
        stacklevel=3,
    )


def _subset_size(size: int | None, num_fake: int, real: Tensor) -> int:
    """Return the number of images in a subset of KID."""
    least = min(num_fake, len(real))
    if size is None:
        size = min(KID_SUBSET_SIZE, least)
    if size > least:
        raise BadInput(f"kid_subset_size is {size}, and there are {num_fake} fakes and {len(real)} real images")
    if size == num_fake == len(real):
        warnings.warn(
            f"KID's deviation says nothing: each of its {KID_SUBSETS} subsets is all {size} images; a smaller "
            "kid_subset_size (--kid-subset-size) gives one",
            stacklevel=3,
        )
    return size
