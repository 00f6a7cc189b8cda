"""Scores of any number of fakes against one reference, the values by torch-fidelity's own functions."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch_fidelity
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.cache import cache_path, read_cached, write_cached
from gan_convnorm.fidelity.classifier_features import held_out_accuracy
from gan_convnorm.fidelity.extractors import weights_digest
from gan_convnorm.fidelity.features import Progress, extract
from gan_convnorm.fidelity.image_counts import check_num_fake, check_numbers, check_sizes
from gan_convnorm.fidelity.image_set import Images
from gan_convnorm.fidelity.images import as_images
from gan_convnorm.fidelity.metrics import (
    effective_rank,
    frechet_distance,
    inception_score,
    kernel_distance,
    parse_metrics,
    precision_and_recall,
    statistics,
)
from gan_convnorm.fidelity.processes import Processes
from gan_convnorm.fidelity.scores import Scores

__all__ = ["Evaluator"]

KID_SUBSETS, KID_SUBSET_SIZE = 100, 1000  # torch-fidelity's defaults


class Evaluator:
    """Scoring of sets of fakes against one reference, whose features are extracted once or read from the cache.

    With `torch.distributed` initialized every process makes one and calls it with the same arguments: each extracts
    its share, and all get the scores.

    Args:
        extractor: of `create_extractor`, for these metrics at least.
        reference: real images, as `evaluate` takes them; None where only the Inception Score is asked for.
        metrics: of `METRICS`.
        reference_name: name of the real images, such as "digits train images".
        isc_splits: parts over which the Inception Score's mean and deviation are taken.
        kid_subset_size: images in each of the 100 subsets that KID is taken over; by default torch-fidelity's 1,000, or
            all of the smaller set.
        batch_size: images in one forward of the extractor.
        progress: called with the number of images done and of all.

    Raises:
        BadInput: fewer than two reference images, or none.
    """

    def __init__(
        self,
        extractor: FeatureExtractorBase,
        reference: object = None,
        *,
        metrics: str | list[str] | tuple[str, ...] = ("isc", "fid"),
        reference_name: str | None = None,
        isc_splits: int = 10,
        kid_subset_size: int | None = None,
        batch_size: int = 64,
        progress: Progress | None = None,
    ) -> None:
        check_sizes(batch_size, kid_subset_size)
        self.extractor = extractor
        self.metrics = parse_metrics(metrics)
        self.layer = {metric: extractor.get_default_feature_layer_for_metric(metric) for metric in self.metrics}
        missing = set(self.layer.values()) - set(extractor.get_requested_features_list())
        if missing:
            raise BadInput(f"the extractor was created without {', '.join(missing)}: name the metrics there as well")
        self.isc_splits = isc_splits
        self.kid_subset_size = kid_subset_size
        self.batch_size = batch_size
        self.progress = progress
        self.processes = Processes.current()
        self.reference: Images | None = None
        self.real: dict[str, Any] = {}
        compared = [metric for metric in self.metrics if metric != "isc"]
        if compared:
            if reference is None:
                raise BadInput(f"{', '.join(compared)} compare with real images, and no reference is given")
            self.reference = self.processes.together(lambda: as_images(reference, name=reference_name))
            self.reference_name = reference_name or self.reference.name
            self._extract_reference(self.reference)

    def _extract_reference(self, reference: Images) -> None:
        needs_rows = "kid" in self.metrics or "prc" in self.metrics
        kind = "features" if needs_rows else "statistics"
        layers = sorted({self.layer[metric] for metric in self.metrics if metric != "isc"})
        path: Path | None = None

        def look_up() -> tuple[bool, int]:
            nonlocal path
            digest = reference.digest()
            if digest is None:
                return False, 0
            name = self.extractor.get_name()
            path = cache_path(kind, torch_fidelity.__version__, name, layers, weights_digest(self.extractor), digest)
            found = read_cached(path)
            self.real = found or {}
            return found is not None, self.real.get("count", 0)

        cached, self.num_reference = self.processes.from_first(look_up)
        if not cached:
            found = extract(
                self.extractor,
                reference,
                batch_size=self.batch_size,
                processes=self.processes,
                progress=self.progress,
            )

            def keep() -> int:
                assert found is not None
                count = len(next(iter(found.values())))
                if count < 2:
                    raise BadInput(f"FID and KID need 2 or more real images, and there are {count}")
                self.real = {"count": count}
                for layer in layers:
                    self.real[layer] = found[layer] if needs_rows else statistics(found[layer])
                if path is not None:
                    write_cached(path, self.real)
                return count

            self.num_reference = self.processes.from_first(keep)
        if self.processes.rank == 0 and "fid" in self.metrics:
            kept = self.real[self.layer["fid"]]
            self.real_statistics = statistics(kept) if needs_rows else kept

    def __call__(self, fakes: object, fakes_name: str | None = None) -> Scores:
        """Return the scores of fakes, on every process.

        Args:
            fakes: images, as `evaluate` takes them.
            fakes_name: what they are, such as "EMA samples".

        Returns:
            The scores, with the numbers of images and all else that they depend on.

        Fewer than two fakes, or than two in every split of the Inception Score, raise `BadInput`.
        """
        images = self.processes.together(lambda: self._fakes(fakes, fakes_name))
        features = extract(
            self.extractor,
            images,
            batch_size=self.batch_size,
            processes=self.processes,
            progress=self.progress,
        )
        return self.processes.from_first(lambda: self._score(images, features))

    def _fakes(self, fakes: object, name: str | None) -> Images:
        images = as_images(fakes, name=name)
        check_num_fake(len(images), self.isc_splits, self.metrics)
        return images

    def _score(self, images: Images, features: dict[str, Tensor] | None) -> Scores:
        assert features is not None
        count = len(next(iter(features.values())))
        check_num_fake(count, self.isc_splits, self.metrics)  # unreadable files may have been left out
        values: dict[str, float] = {}
        ranks: dict[str, float] = {}
        protocol: dict[str, Any] = {"extractor": self.extractor.get_name(), "fake": images.name, "n_fake": count}
        protocol |= held_out_accuracy(self.extractor)
        if self.reference is not None:
            protocol |= {"reference": self.reference_name, "n_real": self.num_reference}
        if "isc" in self.metrics:
            values |= inception_score(features[self.layer["isc"]], self.isc_splits)
            protocol["isc_splits"] = self.isc_splits
        if "fid" in self.metrics:
            rows = features[self.layer["fid"]]
            fewer = min(count, self.num_reference)
            if fewer <= rows.shape[1]:
                warnings.warn(
                    f"FID of {count} fakes and {self.num_reference} real images on {rows.shape[1]} features is far too "
                    "high: a covariance needs more images than features; compare only scores of the same numbers",
                    stacklevel=2,
                )
            found = statistics(rows)
            values |= frechet_distance(found, self.real_statistics)
            ranks = {"fake": effective_rank(found), "real": effective_rank(self.real_statistics)}
        if "kid" in self.metrics:
            size = self.kid_subset_size
            if size is None:
                size = min(KID_SUBSET_SIZE, count, self.num_reference)
            if size > min(count, self.num_reference):
                raise BadInput(
                    f"kid_subset_size is {size}, and there are {count} fakes and {self.num_reference} real images"
                )
            layer = self.layer["kid"]
            values |= kernel_distance(features[layer], self.real[layer], KID_SUBSETS, size)
            if size == count == self.num_reference:
                warnings.warn(
                    f"KID's deviation says nothing: each of its {KID_SUBSETS} subsets is all {size} images; a smaller "
                    "kid_subset_size (--kid-subset-size) gives one",
                    stacklevel=2,
                )
            protocol |= {"kid_subsets": KID_SUBSETS, "kid_subset_size": size}
        if "prc" in self.metrics:
            check_numbers(count, self.num_reference, self.metrics)
            layer = self.layer["prc"]
            values |= precision_and_recall(features[layer], self.real[layer])
        return Scores(values, protocol, ranks)
