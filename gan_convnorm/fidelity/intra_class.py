"""FID within each class, of generators that take labels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.features import Progress, extract
from gan_convnorm.fidelity.image_set import TensorImages
from gan_convnorm.fidelity.images import as_images
from gan_convnorm.fidelity.metrics import frechet_distance, statistics
from gan_convnorm.fidelity.processes import Processes

__all__ = ["check_classes", "intra_class_fid"]


def intra_class_fid(
    extractor: FeatureExtractorBase,
    fakes: object,
    fake_labels: Tensor,
    reals: Tensor,
    real_labels: Tensor,
    *,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> dict[int, float]:
    """Return the FID of every class's fakes against its real images.

    Miyato and Koyama, ICLR 2018, arXiv:1802.05637, section 4.
    A class has few images, which makes FID larger: compare only scores of the same numbers.

    >>> from gan_convnorm.fidelity import create_extractor
    >>> images, labels = torch.randint(0, 256, (40, 1, 4, 4), dtype=torch.uint8), torch.arange(40) % 2
    >>> extractor = create_extractor("classifier", metrics=("fid",), labelled=(images, labels))
    >>> intra_class_fid(extractor, images, labels, images, labels)
    {0: 0.0, 1: 0.0}

    Args:
        extractor: of `create_extractor`, for fid.
        fakes: images, as `evaluate` takes them.
        fake_labels: their classes, int64 (n,).
        reals: uint8 (N, C, H, W).
        real_labels: their classes, int64 (N,).
        batch_size: images in one forward of the extractor.
        progress: called with the number of images done and of all.

    Returns:
        FID by class, of the classes of the fakes, on every process.

    A class with fewer than two fakes or two real images raises `BadInput`.
    """
    processes = Processes.current()
    layer = extractor.get_default_feature_layer_for_metric("fid")

    sets = (as_images(fakes), TensorImages(reals))

    def check() -> None:
        for images, labels, kind in zip(sets, (fake_labels, real_labels), ("fakes", "real images"), strict=True):
            if len(images) != len(labels):
                raise BadInput(f"there are {len(images)} {kind} and {len(labels)} labels; expected one label for each")
        check_classes(fake_labels, real_labels)

    processes.together(check)
    features = [
        extract(extractor, images, batch_size=batch_size, processes=processes, progress=progress) for images in sets
    ]

    def score() -> dict[int, float]:
        fake, real = (found[layer] for found in features if found is not None)
        return {
            label: frechet_distance(statistics(fake[fake_labels == label]), statistics(real[real_labels == label]))[
                "fid"
            ]
            for label in torch.unique(fake_labels).tolist()
        }

    return processes.from_first(score)


def check_classes(fake_labels: Tensor, real_labels: Tensor) -> None:
    """Raise unless every class has the two fakes and two real images that FID within a class needs.

    >>> check_classes(torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1, 1]))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: class 1 has 1 fakes and 2 real images; FID within a class needs 2 or more of ...

    Args:
        fake_labels: int64 (n,).
        real_labels: int64 (N,).

    Raises:
        BadInput: a class with fewer than two fakes or two real images.
    """
    for label in torch.unique(fake_labels).tolist():
        found = [int((labels == label).sum()) for labels in (fake_labels, real_labels)]
        if min(found) < 2:
            raise BadInput(
                f"class {label} has {found[0]} fakes and {found[1]} real images; FID within a class needs 2 or more of "
                "each (--num-fake)"
            )
