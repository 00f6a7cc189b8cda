"""Scores of one set of fakes against real images, in one call."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from gan_convnorm.devices import usable_device
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.evaluator import Evaluator
from gan_convnorm.fidelity.extractors import EXTRACTORS, create_extractor, registered_name
from gan_convnorm.fidelity.features import Progress
from gan_convnorm.fidelity.image_counts import check_num_fake, check_sizes
from gan_convnorm.fidelity.image_files import FolderImages
from gan_convnorm.fidelity.image_set import Images
from gan_convnorm.fidelity.images import as_images
from gan_convnorm.fidelity.metrics import parse_metrics
from gan_convnorm.fidelity.processes import Processes
from gan_convnorm.fidelity.reference import as_reference
from gan_convnorm.fidelity.reference_statistics import ReferenceStatistics
from gan_convnorm.fidelity.scores import Scores
from gan_convnorm.fidelity.statistics_file import check_fid, check_statistics_path

__all__ = ["evaluate", "images_and_labels"]


def evaluate(
    source: object,
    reference: object = None,
    *,
    metrics: str | list[str] | tuple[str, ...] = ("isc", "fid"),
    extractor: str | FeatureExtractorBase = "inception",
    extractor_weights: str | Path | None = None,
    labelled: tuple[Tensor, ...] | None = None,
    num_fake: int = 50_000,
    batch_size: int = 64,
    isc_splits: int = 10,
    kid_subset_size: int | None = None,
    seed: int = 0,
    ema: bool = True,
    latent_dim: int = 128,
    resize: int | str | None = None,
    skip_bad: bool = False,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
    save_statistics: str | Path | None = None,
    overwrite: bool = False,
) -> Scores:
    """Score images against real ones; every value equals `torch_fidelity.calculate_metrics`'s on the same images.

    One exception: a FID that rounding makes slightly negative is 0 here.

    >>> images = torch.randint(0, 256, (40, 1, 4, 4), dtype=torch.uint8)
    >>> sorted(evaluate(images, images.flip(3), metrics="kid", extractor="classifier", device="cpu").values)
    ['kid', 'kid_std']

    Args:
        source: uint8 images (N, C, H, W); a folder of images; an .npz or .npy file of uint8 images; a module with
            `sample(n, seed=, ema=, first=)`, such as `gan_convnorm.load` returns; or a callable from normal latents
            (n, latent_dim) to uint8 images.
        reference: real images, in the same ways; or, for isc and fid alone, `ReferenceStatistics` or an .npz file with
            mu and sigma.
        metrics: of isc, fid, kid, prc.
        extractor: the network whose features are compared:
            a key of `EXTRACTORS`, a name in torch-fidelity's registry, or one of `create_extractor`.
        extractor_weights: its weights file; downloaded by default, and trained for "classifier".
        labelled: images, and labels where there are some, that "classifier" is trained on; by default the reference,
            a folder's with its folders as classes.
        num_fake: number of samples, if the source generates them.
        batch_size: images in one forward of the extractor.
        isc_splits: parts over which the Inception Score's mean and deviation are taken.
        kid_subset_size: see `Evaluator`.
        seed: seeds the latents; samples do not depend on the number of processes.
        ema: sample from the averaged weights, else from the current ones.
        latent_dim: length of a callable's latents.
        resize: side in pixels, or "HEIGHTxWIDTH", to which the images of folders and arrays are brought.
        skip_bad: omit unreadable files instead of refusing the folder.
        device: where the extractor runs; a GPU where there is one.
        progress: called with the number of images done and of all.
        save_statistics: an .npz file to write the reference's statistics to; later it can be given as `reference`.
        overwrite: let `save_statistics` replace a file of any other kind.

    Returns:
        The scores, on every process.

    Images, weights or numbers that cannot be used raise `BadInput`.
    """
    metrics = parse_metrics(metrics)
    check_sizes(batch_size, kid_subset_size)
    device = usable_device(device)
    if save_statistics is not None:
        check_fid(metrics)
        check_statistics_path(Path(save_statistics), overwrite)
    options: dict[str, Any] = {"num_fake": num_fake, "seed": seed, "ema": ema, "latent_dim": latent_dim}
    options |= {"device": device, "resize": resize, "skip_bad": skip_bad}

    def sources() -> tuple[Images, Images | ReferenceStatistics | None]:
        images = as_images(source, **options)
        check_num_fake(len(images), isc_splits, metrics)
        real = None if reference is None else as_reference(reference, **options)
        if isinstance(real, ReferenceStatistics):
            real.check_metrics(metrics)
        return images, real

    # Before the extractor, which may be a long download away.
    images, real = Processes.current().together(sources)
    if isinstance(extractor, str):
        registered, processes = registered_name(extractor), Processes.current()
        trains = registered == EXTRACTORS["classifier"] and labelled is None and extractor_weights is None
        if isinstance(real, ReferenceStatistics):
            if labelled is None:
                extractor_weights = processes.together(partial(real.weights_for, registered, extractor_weights))
        elif trains and real is not None:
            labelled = processes.together(partial(images_and_labels, real))
        extractor = create_extractor(
            extractor, metrics=metrics, device=device, labelled=labelled, weights=extractor_weights
        )
    evaluator = Evaluator(
        extractor,
        real,
        metrics=metrics,
        isc_splits=isc_splits,
        kid_subset_size=kid_subset_size,
        batch_size=batch_size,
        progress=progress,
    )
    scores = evaluator(images)
    if save_statistics is not None:
        evaluator.save_statistics(save_statistics, overwrite)
    return scores


def images_and_labels(reference: Images) -> tuple[Tensor, ...]:
    """Return the images to train the classifier on, and their labels where the reference is a folder of classes.

    >>> from gan_convnorm.fidelity import TensorImages
    >>> [tensor.shape for tensor in images_and_labels(TensorImages(torch.zeros(5, 3, 8, 8, dtype=torch.uint8)))]
    [torch.Size([5, 3, 8, 8])]

    Raises:
        BadInput: no image of it can be read.
    """
    parts = list(reference.batches(0, len(reference), 256))
    if not parts:
        raise BadInput(f"there is nothing to train the classifier on: no {reference.name} can be read")
    images = torch.cat(parts)
    labels = reference.labels() if isinstance(reference, FolderImages) else None
    # Unreadable files that are left out have no image.
    return (images,) if labels is None or len(labels) != len(images) else (images, labels)
