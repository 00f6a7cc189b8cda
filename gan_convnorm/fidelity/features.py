"""Features of a set of images, each process extracting its share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.classifier_features import ClassifierFeatures
from gan_convnorm.fidelity.image_set import Images
from gan_convnorm.fidelity.processes import Processes
from gan_convnorm.images.size import Size

__all__ = ["Progress", "extract"]

#: called with the number of images done and of all
Progress = Callable[[int, int], None]


def extract(
    extractor: FeatureExtractorBase,
    images: Images,
    *,
    batch_size: int = 64,
    processes: Processes | None = None,
    progress: Progress | None = None,
    expected: Mapping[str, int] | None = None,
) -> dict[str, Tensor] | None:
    """Return features of images, in their order.

    >>> from gan_convnorm.fidelity import TensorImages, create_extractor
    >>> images = torch.randint(0, 256, (40, 1, 4, 4), dtype=torch.uint8)
    >>> extractor = create_extractor("classifier", metrics=("fid",), labelled=(images, torch.arange(40) % 2))
    >>> extract(extractor, TensorImages(images))["features"].shape
    torch.Size([40, 64])

    Args:
        extractor: of `create_extractor`.
        images: grey ones are repeated to the three channels an extractor of colour needs.
        batch_size: images in one forward.
        processes: those that share the work; all must call this.
        progress: called with the numbers of images done and of all; the first is estimated from this process's share.
        expected: number of features by layer, of what they will be compared with.

    Returns:
        On the first process for each of the extractor's layers a float tensor of shape (N, D), on the CPU, where N is
        smaller than len(images) by the unreadable files that are left out; None on the others.

    Raises:
        BadInput: bad images, on any process, or features that are NaN or infinite, or of another number.
    """
    processes = processes or Processes.current()
    share = _Share(extractor, images, batch_size, processes, progress, expected or {})
    counts = processes.collect(share.extract)
    if sum(counts) == 0:
        raise BadInput(f"there are no images among {images.name}")
    gathered = {}
    for layer in extractor.get_requested_features_list():
        rows = processes.gather_rows(share.features.pop(layer, None), counts)
        if rows is not None:
            gathered[layer] = rows
    return gathered if processes.rank == 0 else None


class _Share:
    """One process's part of the work."""

    def __init__(
        self,
        extractor: FeatureExtractorBase,
        images: Images,
        batch_size: int,
        processes: Processes,
        progress: Progress | None,
        expected: Mapping[str, int],
    ) -> None:
        self.extractor = extractor
        self.images = images
        self.batch_size = batch_size
        self.progress = progress
        self.expected = expected
        self.start, self.stop = processes.share(len(images), images.block or batch_size)
        self.features: dict[str, Tensor] = {}

    @torch.no_grad()
    def extract(self) -> int:
        """Fill `features`; the number of images."""
        device = next(self.extractor.parameters()).device
        done = 0
        with torch.autocast(device.type, enabled=False):
            for batch in self.images.batches(self.start, self.stop, self.batch_size):
                found = self.extractor(_fit_channels(batch, self.extractor).to(device))
                for name, rows in self.extractor.convert_features_tuple_to_dict(found).items():
                    if not rows.isfinite().all():
                        raise BadInput(
                            f"{self.extractor.get_name()} gives features of {self.images.name} that are NaN or "
                            "infinite; its weights are damaged, or those of another network"
                        )
                    if name not in self.features:
                        self._check_number(name, rows.shape[1])
                        # One block for all rows: joining parts at the end would need them twice.
                        self.features[name] = torch.empty(self.stop - self.start, *rows.shape[1:], dtype=rows.dtype)
                    self.features[name][done : done + len(rows)] = rows
                done += len(batch)
                if self.progress is not None:
                    self.progress(done * len(self.images) // (self.stop - self.start), len(self.images))
        self.features = {name: rows[:done] for name, rows in self.features.items()}
        return done

    def _check_number(self, layer: str, number: int) -> None:
        expected = self.expected.get(layer, number)
        if number != expected:
            raise BadInput(
                f"{self.extractor.get_name()} gives {number} features, and the reference's statistics are of "
                f"{expected}; choose the extractor that they were computed with (--extractor)"
            )


def _fit_channels(images: Tensor, extractor: FeatureExtractorBase) -> Tensor:
    expected = 3
    if isinstance(extractor, ClassifierFeatures):
        expected = extractor.network.shape["channels"]
        size = Size.of(extractor.network.shape["resolution"])
        if tuple(images.shape[2:]) != size:
            raise BadInput(
                f"the images are {Size(*images.shape[2:])} pixels (height x width), and the classifier was trained on "
                f"{size}; resize={size.plain!r} (--resize {size.plain}) brings folders to it"
            )
        if images.shape[1] == 3 and expected == 1:
            # Files are read as RGB; grey is what the classifier of grey images knows.
            if not ((images[:, 0] == images[:, 1]) & (images[:, 0] == images[:, 2])).all():
                raise BadInput("the images are in colour, and the classifier was trained on grey ones")
            return images[:, :1]
        if images.shape[1] == expected:
            return images
    if 4 in (images.shape[1], expected):
        raise BadInput(
            f"the images have {images.shape[1]} channels, and the extractor takes {expected}; score RGBA images by the "
            "classifier of RGBA images alone, or train without the alpha channel (--data.channels 3)"
        )
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
