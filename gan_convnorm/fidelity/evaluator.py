"""Scores of any number of fakes against one reference, the values by torch-fidelity's own functions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.classifier_features import classifier_in_protocol
from gan_convnorm.fidelity.feature_scores import score_features
from gan_convnorm.fidelity.features import Progress, extract
from gan_convnorm.fidelity.image_counts import check_num_fake, check_sizes
from gan_convnorm.fidelity.image_set import Images
from gan_convnorm.fidelity.images import as_images
from gan_convnorm.fidelity.metrics import parse_metrics
from gan_convnorm.fidelity.processes import Processes
from gan_convnorm.fidelity.real_features import RealFeatures, extract_real_features
from gan_convnorm.fidelity.reference import as_reference
from gan_convnorm.fidelity.reference_statistics import ReferenceStatistics
from gan_convnorm.fidelity.scores import Scores
from gan_convnorm.fidelity.statistics_file import check_fid

__all__ = ["Evaluator"]


class Evaluator:
    """Scoring of sets of fakes against one reference, whose features are extracted once or read from the cache.

    With `torch.distributed` initialized every process makes one and calls it with the same arguments: each extracts
    its share, and all get the scores.

    >>> import torch
    >>> from gan_convnorm.fidelity import create_extractor
    >>> images = torch.randint(0, 256, (100, 1, 4, 4), dtype=torch.uint8)
    >>> extractor = create_extractor("classifier", metrics=("fid",), labelled=(images, torch.arange(100) % 2))
    >>> evaluator = Evaluator(extractor, images, metrics="fid", reference_name="training images")
    >>> evaluator(images).line(), evaluator(images).protocol["reference"]
    ('FID 0.00', 'training images')

    Args:
        extractor: of `create_extractor`, for these metrics at least.
        reference: real images or their statistics, as `evaluate` takes them; None where only the Inception Score is
            asked for.
        metrics: of `METRICS`.
        reference_name: name of the real images, such as "digits train images".
        isc_splits: parts over which the Inception Score's mean and deviation are taken.
        kid_subset_size: images in each of the 100 subsets that KID is taken over; by default torch-fidelity's 1,000, or
            all of the smaller set.
        batch_size: images in one forward of the extractor.
        progress: called with the number of images done and of all.

    Raises:
        BadInput: fewer than two reference images, or none; statistics of another extractor, or where KID, precision or
            recall is asked for.
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
        self.reference: Images | ReferenceStatistics | None = None
        self.real = RealFeatures(0, {})
        compared = [metric for metric in self.metrics if metric != "isc"]
        if compared:
            if reference is None:
                raise BadInput(f"{', '.join(compared)} compare with real images, and no reference is given")
            self.reference = self.processes.together(lambda: as_reference(reference, name=reference_name))
            self.reference_name = reference_name or self.reference.name
            self.real = self._real_features(self.reference)

    def _real_features(self, reference: Images | ReferenceStatistics) -> RealFeatures:
        if isinstance(reference, ReferenceStatistics):
            reference.check_metrics(self.metrics)
            return reference.real_features(self.extractor)
        return extract_real_features(
            self.extractor,
            reference,
            self.layer,
            batch_size=self.batch_size,
            processes=self.processes,
            progress=self.progress,
        )

    def save_statistics(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the reference's statistics to a file that can be given as a reference; every process must call this.

        Args:
            path: an .npz file; see `ReferenceStatistics.write`.
            overwrite: replace a file of any other kind too.

        Raises:
            BadInput: FID is not among the metrics, or the file cannot be written.
        """
        check_fid(self.metrics)

        def write() -> None:
            found = self.reference
            if not isinstance(found, ReferenceStatistics):
                assert self.real.statistics is not None
                found = ReferenceStatistics.of(
                    self.extractor, self.real.statistics, self.reference_name, self.real.count
                )
            found.write(path, overwrite)

        self.processes.from_first(write)

    def __call__(self, fakes: object) -> Scores:
        """Return the scores of fakes, on every process.

        Args:
            fakes: images, as `evaluate` takes them.

        Returns:
            The scores, with the numbers of images and all else that they depend on.

        Fewer than two fakes, or than two in every split of the Inception Score, raise `BadInput`.
        """
        images = self.processes.together(lambda: self._fakes(fakes))
        features = extract(
            self.extractor,
            images,
            batch_size=self.batch_size,
            processes=self.processes,
            progress=self.progress,
            expected=self._expected(),
        )
        return self.processes.from_first(lambda: self._score(images, features))

    def _expected(self) -> dict[str, int]:
        """Return the number of features by layer, where it is known."""
        known = self.real.statistics
        return {} if known is None else {self.layer["fid"]: len(known["mu"])}

    def _fakes(self, fakes: object) -> Images:
        images = as_images(fakes)
        check_num_fake(len(images), self.isc_splits, self.metrics)
        return images

    def _score(self, images: Images, features: dict[str, Tensor] | None) -> Scores:
        assert features is not None
        scores = score_features(
            features, self.real, self.layer, isc_splits=self.isc_splits, kid_subset_size=self.kid_subset_size
        )
        protocol: dict[str, Any] = {"extractor": self.extractor.get_name(), "fake": images.name}
        protocol |= classifier_in_protocol(self.extractor)
        if self.reference is not None:
            protocol["reference"] = self.reference_name
            if self.real.count is not None:
                protocol["n_real"] = self.real.count
        return replace(scores, protocol=protocol | scores.protocol)
