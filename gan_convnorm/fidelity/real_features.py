"""Features of the real images, extracted once and kept in the cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch_fidelity
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.cache import cache_path, read_cached, write_cached
from gan_convnorm.fidelity.extractor_weights import weights_digest
from gan_convnorm.fidelity.features import Progress, extract
from gan_convnorm.fidelity.image_set import Images
from gan_convnorm.fidelity.metrics import statistics
from gan_convnorm.fidelity.processes import Processes

__all__ = ["RealFeatures", "extract_real_features"]


@dataclass(frozen=True)
class RealFeatures:
    """Features of the real images, on the first process; the others know only how many images there are.

    >>> import torch
    >>> RealFeatures(3, {"features": torch.zeros(3, 64)}).rows["features"].shape
    torch.Size([3, 64])

    Attributes:
        count: number of images; None if unknown.
        rows: features by layer, shape (N, D); empty where only FID is asked for.
        statistics: of `metrics.statistics`, of FID's layer; None where FID is not asked for, or to compute them from
            the rows.
    """

    count: int | None
    rows: Mapping[str, Tensor]
    statistics: dict[str, Tensor] | None = None


def extract_real_features(
    extractor: FeatureExtractorBase,
    images: Images,
    layer: Mapping[str, str],
    *,
    batch_size: int,
    processes: Processes,
    progress: Progress | None,
) -> RealFeatures:
    """Return the features of real images, from the cache where they are there; every process must call this.

    >>> import torch
    >>> from gan_convnorm.fidelity import TensorImages, create_extractor
    >>> images = torch.arange(16, dtype=torch.uint8).view(4, 1, 2, 2)
    >>> extractor = create_extractor("classifier", metrics=("kid",), labelled=(images, torch.arange(4) % 2))
    >>> usual = dict(batch_size=64, processes=Processes.current(), progress=None)
    >>> real = extract_real_features(extractor, TensorImages(images), {"kid": "features"}, **usual)
    >>> real.count, real.rows["features"].shape
    (4, torch.Size([4, 64]))

    Args:
        extractor: of `create_extractor`.
        images: the real images.
        layer: the extractor's layer by metric.
        batch_size: images in one forward of the extractor.
        processes: those that share the work.
        progress: called with the number of images done and of all.

    Returns:
        Features for KID, precision and recall, else their statistics alone.

    Raises:
        BadInput: fewer than two images.
    """
    needs_rows = "kid" in layer or "prc" in layer
    layers = sorted({layer[metric] for metric in layer if metric != "isc"})
    path: Path | None = None
    kept: dict[str, Any] = {}

    def look_up() -> tuple[bool, int]:
        nonlocal path, kept
        digest = images.digest()
        if digest is None:
            return False, 0
        kind, name = "features" if needs_rows else "statistics", extractor.get_name()
        path = cache_path(kind, torch_fidelity.__version__, name, layers, weights_digest(extractor), digest)
        found = read_cached(path)
        kept = found or {}
        return found is not None, kept.get("count", 0)

    cached, count = processes.from_first(look_up)
    if not cached:
        found = extract(extractor, images, batch_size=batch_size, processes=processes, progress=progress)

        def keep() -> int:
            nonlocal kept
            assert found is not None
            number = len(next(iter(found.values())))
            if number < 2:
                raise BadInput(f"FID and KID need 2 or more real images, and there are {number}")
            kept = {"count": number}
            for name in layers:
                kept[name] = found[name] if needs_rows else statistics(found[name])
            if path is not None:
                write_cached(path, kept)
            return number

        count = processes.from_first(keep)
    if processes.rank > 0:
        return RealFeatures(count, {})
    rows = {name: kept[name] for name in layers} if needs_rows else {}
    if "fid" not in layer:
        return RealFeatures(count, rows)
    return RealFeatures(count, rows, statistics(rows[layer["fid"]]) if needs_rows else kept[layer["fid"]])
