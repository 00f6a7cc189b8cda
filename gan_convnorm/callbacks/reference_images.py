"""The real images that scores compare with, from whatever holds them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    default_collate,
)

from gan_convnorm.callbacks.generated_samples import image_bytes
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.evaluate import images_and_labels
from gan_convnorm.fidelity.image_set import TensorImages
from gan_convnorm.fidelity.reference import as_reference
from gan_convnorm.fidelity.reference_statistics import ReferenceStatistics
from gan_convnorm.images.value_range import ValueRange

__all__ = ["ReferenceImages", "given_images", "origin_of_images", "split_images", "trainer_images"]


class _SplitData(Protocol):
    """Data with splits.

    Attributes:
        name: of the data, for people.
        train_set: images, uint8 (N, C, H, W), and where there are classes labels, int64 (N,).
    """

    name: str
    train_set: TensorDataset

    def split(self, name: str) -> TensorDataset:
        """Return the split "train" or "test"."""


@dataclass(frozen=True)
class ReferenceImages:
    """Real images.

    >>> given_images(torch.zeros(4, 1, 8, 8, dtype=torch.uint8)).name
    'reference images'

    Attributes:
        source: as `Evaluator` takes it.
        name: the images in words, for the protocol.
        labelled: uint8 images (N, C, H, W), and int64 labels (N,) where there are some, that the extractor "classifier"
            is trained on; None where they are not known, as in a file of statistics.
        labels: classes of the source's images, (N,); None without classes.
    """

    source: Any
    name: str
    labelled: tuple[Tensor, ...] | None
    labels: Tensor | None = None


def given_images(reference: object, value_range: ValueRange | None = None, *, training: bool = True) -> ReferenceImages:
    """Return the images that a person gives as a reference.

    >>> given_images((torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.arange(4))).labels
    tensor([0, 1, 2, 3])

    Args:
        reference: images (N, C, H, W); a pair of images and labels; a Dataset or DataLoader whose items are images or
            begin with an image and a label; a folder; an .npz or .npy file.
        value_range: of floating-point images, see `as_bytes`.
        training: the images may be trained on, so those of a folder or an object are read now.

    Raises:
        BadInput: another kind, no images, or images that cannot be used.
    """
    if isinstance(reference, (str, os.PathLike)):
        images = as_reference(reference)
        name = images.name if isinstance(images, ReferenceStatistics) else Path(reference).name
        return _not_in_memory(images, name, training)
    if isinstance(reference, Tensor):
        return _in_memory([(reference,)], "reference images", value_range)
    if isinstance(reference, (tuple, list)) and len(reference) == 2 and all(isinstance(x, Tensor) for x in reference):
        if not _are_labels(reference[1]):
            shape, dtype = tuple(reference[1].shape), reference[1].dtype
            raise BadInput(
                f"the reference is two tensors, and the second, of shape {shape} and {dtype}, is no labels; expected "
                "whole numbers of shape (N,); put images together with torch.cat"
            )
        return _in_memory([tuple(reference)], "reference images", value_range)
    if isinstance(reference, DataLoader):
        return _in_memory(_batches(reference), "reference images", value_range)
    if isinstance(reference, Dataset):
        return _in_memory(_items(reference), "reference images", value_range)
    if hasattr(reference, "batches") or hasattr(reference, "sigma"):
        return _not_in_memory(reference, getattr(reference, "name", "reference images"), training)
    raise BadInput(
        f"the reference is a {type(reference).__name__}; expected images (N, C, H, W), a pair of images and labels, a "
        "Dataset, a DataLoader, a folder, or a file"
    )


def _not_in_memory(images: Any, name: str, training: bool) -> ReferenceImages:  # noqa: ANN401
    # Statistics hold no images.
    labelled = images_and_labels(images) if training and hasattr(images, "batches") else None
    return ReferenceImages(images, name, labelled, labelled[1] if labelled is not None and len(labelled) > 1 else None)


def trainer_images(trainer: pl.Trainer, split: str, value_range: ValueRange | None = None) -> ReferenceImages | None:
    """Return the images of a trainer's own data; None as long as its loaders are not there.

    They are the split of a data module that has `split("train")` and `split("test")`, as this package's data have, or
    else the first validation loader's, or else the train loader's.

    >>> from types import SimpleNamespace
    >>> cats = TensorDataset(torch.zeros(4, 1, 8, 8, dtype=torch.uint8))
    >>> trainer = pl.Trainer(accelerator="cpu", logger=False)
    >>> trainer.datamodule = SimpleNamespace(name="cats", train_set=cats, split=lambda name: cats)
    >>> trainer_images(trainer, "train").name
    'cats train images'

    Args:
        trainer: of the run.
        split: "train" or "test".
        value_range: of floating-point images, see `as_bytes`.

    Raises:
        BadInput: data without images.
    """
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    if hasattr(data, "split") and hasattr(data, "train_set"):
        return split_images(data, split)
    loader, name = _loader(trainer, split)
    return None if loader is None else _in_memory(_batches(loader), name, value_range)


def origin_of_images(trainer: pl.Trainer, split: str) -> object:
    """Return the object that `trainer_images` takes the images from: a data module, or a loader's data set, or None.

    >>> trainer = pl.Trainer(accelerator="cpu", logger=False)
    >>> origin_of_images(trainer, "train") is None
    True
    """
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    if hasattr(data, "split") and hasattr(data, "train_set"):
        return data
    loader, _ = _loader(trainer, split)
    return getattr(loader, "dataset", loader)


def _loader(trainer: pl.Trainer, split: str) -> tuple[Any, str]:
    if trainer.state.fn == "fit" and trainer.train_dataloader is not None and trainer.enable_validation:
        # Without a sanity check Lightning makes these loaders only at the first validation.
        trainer.fit_loop.epoch_loop.val_loop.setup_data()
    for loaders, name in (
        (trainer.test_dataloaders if split == "test" else None, "test images"),
        (trainer.val_dataloaders, "validation images"),
        (trainer.train_dataloader, "training images"),
    ):
        loader = loaders[0] if isinstance(loaders, (list, tuple)) and loaders else loaders
        if loader is not None:
            return loader, name
    return None, ""


def split_images(data: _SplitData, split: str) -> ReferenceImages:
    """Return a split of a data module that is set up; the extractor "classifier" is trained on its train split.

    >>> from types import SimpleNamespace
    >>> cats = TensorDataset(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), torch.arange(3))
    >>> data = SimpleNamespace(name="cats", train_set=cats, split=lambda name: cats)
    >>> split_images(data, "test").labels
    tensor([0, 1, 2])
    """
    images, *labels = data.split(split).tensors
    classes = labels[0] if labels and not labels[0].is_floating_point() else None
    name = f"{data.name} {split} images"
    return ReferenceImages(TensorImages(images, name), name, data.train_set.tensors, classes)


def _batches(loader: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the images of a loader, and labels where there are some, in the order of its data set."""
    dataset = getattr(loader, "dataset", None)
    if isinstance(dataset, Dataset) and hasattr(dataset, "__len__") and _takes_all(_sampler_of(loader)):
        # A train loader shuffles, and drops its last batch. On several processes each one's has a part.
        collate: Any = getattr(loader, "collate_fn", None)
        if collate is default_collate:
            yield from _items(dataset)
            return
        workers = {name: getattr(loader, name) for name in ("batch_size", "num_workers", "worker_init_fn")}
        loader = DataLoader(dataset, collate_fn=collate, **workers)
    if isinstance(dataset, Dataset) and hasattr(dataset, "__len__") and not _ends(loader):
        raise BadInput("the loader of the real images has a sampler without a length; give FidelityScores a reference")
    for batch in loader:
        yield tuple(batch[:2]) if isinstance(batch, (tuple, list)) else (batch,)


def _ends(loader: Any) -> bool:  # noqa: ANN401
    """Return False for a loader of a data set whose sampler has no length: it may go on for ever."""
    try:
        return len(loader) >= 0
    except TypeError:
        return False


def _sampler_of(loader: object) -> object:
    """Return what chooses a loader's images; of a loader with a batch sampler of its own, that one."""
    batches = getattr(loader, "batch_sampler", None)
    return batches.sampler if type(batches) is BatchSampler else batches


def _takes_all(sampler: object) -> bool:
    """Return True if a sampler takes every image of the data set once, on one process or shared among several."""
    if isinstance(sampler, RandomSampler):
        return not sampler.replacement and sampler.num_samples == len(sampler.data_source)
    return isinstance(sampler, (SequentialSampler, DistributedSampler))


def _items(dataset: Dataset[Any]) -> Iterator[tuple[Any, ...]]:
    length = getattr(dataset, "__len__", None)
    items: Iterable[Any] = (dataset[row] for row in range(length())) if length is not None else iter(dataset)
    for item in items:
        image, *rest = item if isinstance(item, (tuple, list)) else (item,)
        if not isinstance(image, Tensor) or image.dim() != 3:
            found = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
            raise BadInput(f"an item of the reference is {found}; expected a tensor of shape (C, H, W)")
        yield (image[None], *(torch.as_tensor(label).view(1) for label in rest[:1] if _is_label(label)))


def _is_label(value: object) -> bool:
    return isinstance(value, (int, np.integer)) or (
        isinstance(value, Tensor) and value.dim() == 0 and not value.is_floating_point()
    )


def _are_labels(values: object) -> bool:
    return isinstance(values, Tensor) and values.dim() == 1 and not values.is_floating_point()


def _in_memory(batches: Iterable[tuple[Any, ...]], name: str, value_range: ValueRange | None) -> ReferenceImages:
    images, labels = [], []
    for part, *rest in batches:
        images.append(image_bytes(part, value_range, name, samples=False))
        labels += [rest[0].cpu()] if rest and _are_labels(rest[0]) else []
    if not sum(map(len, images)):
        raise BadInput(f"there are no {name}")
    whole = torch.cat(images)
    classes = torch.cat(labels).long() if labels else None
    if classes is not None and len(classes) != len(whole):
        raise BadInput(f"{name}: {len(whole)} images and {len(classes)} labels; expected one label for each")
    labelled = (whole,) if classes is None else (whole, classes)
    return ReferenceImages(TensorImages(whole, name), name, labelled, classes)
