"""Files with the mean and covariance of real images' features, in place of the images."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.classifier import FROM_ROTATIONS
from gan_convnorm.fidelity.classifier_features import ClassifierFeatures
from gan_convnorm.fidelity.extractor_weights import weights_digest
from gan_convnorm.fidelity.extractors import EXTRACTORS
from gan_convnorm.fidelity.real_features import RealFeatures
from gan_convnorm.fidelity.statistics_file import (
    PROVENANCE,
    check_statistics_path,
    read_statistics,
)
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.files.cache_folder import cache_folder
from gan_convnorm.files.names import shown

__all__ = ["ReferenceStatistics"]


@dataclass(frozen=True)
class ReferenceStatistics:
    """Mean and covariance of the features of real images: all that FID needs to know about them.

    >>> import tempfile, torch
    >>> found = ReferenceStatistics(torch.zeros(2), torch.eye(2, dtype=torch.float64), reference="cats", count=500)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found.write(Path(folder, "cats.npz"))
    ...     ReferenceStatistics.read(Path(folder, "cats.npz")).sigma.tolist()
    [[1.0, 0.0], [0.0, 1.0]]

    Attributes:
        mu: mean of the features, float32, shape (D,).
        sigma: their covariance, float64, shape (D, D).
        extractor: name of the extractor in torch-fidelity's registry; None if unknown, as are the following.
        weights: hash of the extractor's weights, of `extractor_weights.weights_digest`.
        weights_file: name of the trained classifier's file in the cache folder.
        reference: name of the real images, such as "images of train".
        count: their number.
        file: name of the file that they were read from.
    """

    mu: Tensor
    sigma: Tensor
    extractor: str | None = None
    weights: str | None = None
    weights_file: str | None = None
    reference: str | None = None
    count: int | None = None
    file: str | None = None

    @classmethod
    def of(
        cls, extractor: FeatureExtractorBase, found: dict[str, Tensor], reference: str, count: int | None
    ) -> ReferenceStatistics:
        """Return statistics that say what they are of.

        Args:
            extractor: that of the features.
            found: "mu" and "sigma", of `metrics.statistics`.
            reference: name of the real images.
            count: their number.
        """
        return cls(
            found["mu"],
            found["sigma"],
            extractor=extractor.get_name(),
            weights=weights_digest(extractor),
            weights_file=extractor.path.name if isinstance(extractor, ClassifierFeatures) else None,
            reference=reference,
            count=count,
        )

    @property
    def name(self) -> str:
        """Name of the real images, for a protocol."""
        if self.reference is None or self.count is None or self.extractor is None:
            return f"{self.file or 'statistics'} (it does not say which images and features its statistics are of)"
        return self.reference if self.file is None else f"{self.reference} (statistics in {self.file})"

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ReferenceStatistics:
        """Return the content of an .npz file of ours, of pytorch-fid or of the code in TensorFlow.

        Args:
            path: the file, with the arrays mu (D,) and sigma (D, D).

        Returns:
            The statistics.

        Raises:
            BadInput: no such file, other shapes or types, NaN or infinite values, or no covariance.
        """
        return cls(**read_statistics(Path(path)), file=shown(path))

    def write(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write an .npz file that pytorch-fid reads as well.

        Args:
            path: the file; one of statistics is replaced.
            overwrite: replace a file of any other kind too.

        Raises:
            BadInput: another file is there, or the name does not end in .npz.
        """
        check_statistics_path(Path(path), overwrite)
        known = {name: getattr(self, name) for name in PROVENANCE if getattr(self, name) is not None}
        with atomic_write(Path(path)) as part, part.open("wb") as file:
            np.savez(file, mu=self.mu.numpy(), sigma=self.sigma.numpy(), **known)

    def check_metrics(self, metrics: Iterable[str]) -> None:
        """Raise when a metric needs more of the real images than their statistics.

        Raises:
            BadInput: KID, precision or recall.
        """
        others = [metric for metric in metrics if metric in ("kid", "prc")]
        if others:
            raise BadInput(
                f"{' and '.join(others)} need the real images, and {self._source} holds statistics "
                "alone; give the images, or choose --metrics isc,fid"
            )

    def real_features(self, extractor: FeatureExtractorBase) -> RealFeatures:
        """Return what metrics need.

        Args:
            extractor: that of the fakes.

        Returns:
            The statistics, with the number of images.

        Raises:
            BadInput: they are of another extractor, or of one with other weights.
        """
        self._check_extractor(extractor.get_name())
        if self.weights is not None and self.weights != weights_digest(extractor):
            raise BadInput(
                f"{self._source} holds statistics of {self.extractor} with other weights; give the "
                "weights that they were computed with by --extractor-weights"
            )
        return RealFeatures(self.count, {}, {"mu": self.mu, "sigma": self.sigma})

    def weights_for(self, registered: str, weights: str | Path | None = None) -> str | Path | None:
        """Return the weights file of an extractor that the fakes are to be compared by.

        Args:
            registered: the extractor's name in torch-fidelity's registry.
            weights: the file that was given, which is returned as it is.

        Returns:
            For the trained classifier its file in the cache folder; None for an extractor that is downloaded.

        Raises:
            BadInput: the statistics are of another extractor, or the classifier is not there.
        """
        self._check_extractor(registered)
        if weights is not None or registered != EXTRACTORS["classifier"]:
            return weights
        cached = cache_folder() / Path(self.weights_file or "no file").name
        if not cached.is_file():
            raise BadInput(
                f"{self._source} holds no images to train the classifier on, and the one that it was computed with is "
                "not in the cache folder; give its weights by --extractor-weights, or the images in place of statistics"
            )
        return cached

    def _check_extractor(self, registered: str) -> None:
        known = EXTRACTORS["classifier"] if self.extractor == FROM_ROTATIONS else self.extractor
        if known not in (None, EXTRACTORS["classifier"] if registered == FROM_ROTATIONS else registered):
            short = next((name for name, value in EXTRACTORS.items() if value == known), known)
            raise BadInput(
                f"{self._source} holds statistics of {self.extractor} features, and {registered} features do not "
                f"compare with them; choose --extractor {short}"
            )

    @property
    def _source(self) -> str:
        return self.file or "the reference"
