"""The scores as a metric of torchmetrics."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torchmetrics import Metric
from typing_extensions import override

from gan_convnorm.devices import usable_device
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.extractors import create_extractor
from gan_convnorm.fidelity.feature_scores import score_features
from gan_convnorm.fidelity.features import extract
from gan_convnorm.fidelity.image_counts import check_sizes
from gan_convnorm.fidelity.image_set import TensorImages
from gan_convnorm.fidelity.metrics import parse_metrics
from gan_convnorm.fidelity.processes import Processes
from gan_convnorm.fidelity.real_features import RealFeatures
from gan_convnorm.images.value_range import as_bytes

__all__ = ["FidelityMetric"]

#: the values of each metric
NAMES = {"isc": ("isc", "isc_std"), "fid": ("fid",), "kid": ("kid", "kid_std"), "prc": ("precision", "recall")}


class FidelityMetric(Metric):
    """IS, FID, KID, precision and recall of batches of images, by torch-fidelity's functions.

    `update` takes real and fake images in batches. `compute` scores all fakes since the last reset against all real
    images. With `torch.distributed` initialized each process updates with its own share, of any size. The scores are
    those of all images in the order of ranks.

    Features are kept on the CPU until the reset, 8 KB an image for InceptionV3. Neither they nor the extractor are in a
    `state_dict`, so checkpoints of a module that owns the metric do not grow.

    >>> from gan_convnorm.fidelity.classifier import train_classifier
    >>> images = torch.randint(0, 256, (40, 1, 4, 4), dtype=torch.uint8)
    >>> metric = FidelityMetric("classifier", metrics="kid", labelled=(images,))
    >>> metric.update(images, real=True)
    >>> metric.update(images, real=False)
    >>> sorted(metric.compute())
    ['kid', 'kid_std']

    Args:
        extractor: a name or an extractor, as `evaluate` takes it.
        metrics: of isc, fid, kid, prc.
        value: name of the one score to compute, such as "fid", for `self.log` of a LightningModule; by default all, as
            a dict.
        value_range: values of black and white in float images, such as (0, 1) or (-1, 1); uint8 images need none.
        reset_real_features: forget the real images too on a reset; False keeps them for the next epoch.
        labelled: images, and labels where there are some, that "classifier" is trained on.
        extractor_weights: the extractor's weights file.
        isc_splits: parts over which the Inception Score's mean and deviation are taken.
        kid_subset_size: images in each of the 100 subsets of KID; by default 1,000, or all of the smaller set.
        options: of `torchmetrics.Metric`.

    Raises:
        BadInput: an unknown name, or numbers that cannot be used.
    """

    higher_is_better = None
    is_differentiable = False
    full_state_update = True

    def __init__(
        self,
        extractor: str | FeatureExtractorBase = "inception",
        metrics: str | list[str] | tuple[str, ...] = ("isc", "fid"),
        *,
        value: str | None = None,
        value_range: tuple[float, float] | None = None,
        reset_real_features: bool = True,
        labelled: tuple[Tensor, ...] | None = None,
        extractor_weights: str | Path | None = None,
        isc_splits: int = 10,
        kid_subset_size: int | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        # `compute` gathers the features itself, on the first process alone.
        super().__init__(**{"sync_on_compute": False, **options})
        check_sizes(1, kid_subset_size)
        self.metrics = parse_metrics(metrics)
        names = [name for metric in self.metrics for name in NAMES[metric]]
        if value is not None and value not in names:
            raise BadInput(f"value is {value!r}; expected one of: {', '.join(names)}")
        if value_range is not None and not value_range[0] < value_range[1]:
            raise BadInput(f"value_range is {value_range}; expected the value of black, then that of white")
        if isinstance(extractor, str):
            extractor = create_extractor(
                extractor, metrics=self.metrics, labelled=labelled, weights=extractor_weights, device=usable_device()
            )
        # In a tuple, where torch does not look for modules whose weights belong into a checkpoint.
        self.held = (extractor,)
        self.layer = {metric: extractor.get_default_feature_layer_for_metric(metric) for metric in self.metrics}
        self.value, self.value_range, self.reset_real_features = value, value_range, reset_real_features
        self.isc_splits, self.kid_subset_size = isc_splits, kid_subset_size
        for layer in sorted(set(self.layer.values())):
            self.add_state(f"real_{layer}", [])
            self.add_state(f"fake_{layer}", [])

    @override
    def update(self, images: Tensor, real: bool) -> None:
        """Add a batch of images.

        Args:
            images: uint8, or floats in `value_range`, shape (B, C, H, W), C 1 or 3. Fakes beyond the range are
                clamped. The extractor moves to their device.
            real: whether they are real images or fakes.

        Raises:
            BadInput: images of another type, shape or range.
        """
        extractor = self.held[0].to(images.device)
        name = "the real images" if real else "the fakes"
        batch = TensorImages(as_bytes(images, self.value_range, name, samples=not real), name)
        if len(images) == 0:
            return
        found = extract(extractor, batch, batch_size=len(images), processes=Processes())
        assert found is not None
        for layer in set(self.layer.values()):
            getattr(self, f"{'real' if real else 'fake'}_{layer}").append(found[layer])

    @override
    def compute(self) -> dict[str, Tensor] | Tensor:
        """Return the scores by name, or the one that `value` names, as float64 scalars on the CPU.

        Every process must call this, and all get the same scores.

        Raises:
            BadInput: too few images.
        """
        processes = Processes.current()
        real, fake = (self._gather(kind, processes) for kind in ("real", "fake"))
        options: dict[str, Any] = {"isc_splits": self.isc_splits, "kid_subset_size": self.kid_subset_size}
        number = len(next(iter(real.values())))
        values = processes.from_first(
            lambda: score_features(fake, RealFeatures(number, real), self.layer, **options).values
        )
        scores = {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}
        return scores if self.value is None else scores[self.value]

    @override
    def forward(self, images: Tensor, real: bool) -> None:
        """Add a batch of images, as `update` does; a batch of one kind has no score to return."""
        self.update(images, real)

    @override
    def reset(self) -> None:
        """Forget all fakes, and the real images unless `reset_real_features` is False."""
        kept = {}
        if not self.reset_real_features:
            kept = {name: list(getattr(self, name)) for name in self._defaults if name.startswith("real_")}
        super().reset()
        for name, rows in kept.items():
            setattr(self, name, rows)

    def _gather(self, kind: str, processes: Processes) -> dict[str, Tensor]:
        """Return the features of all processes by layer on the first process; empty ones on the others."""
        found = {}
        for layer in sorted(set(self.layer.values())):
            parts = [part.cpu() for part in getattr(self, f"{kind}_{layer}")]
            rows = torch.cat(parts) if parts else None
            counts = processes.collect(partial(len, parts if rows is None else rows))
            gathered = processes.gather_rows(rows, counts) if sum(counts) else None
            found[layer] = torch.empty(0, 1) if gathered is None else gathered
        return found
