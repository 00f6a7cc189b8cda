"""The real images of a run beside a trained generator: the nearest to its samples, and held-out ones to project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor
from torch.utils.data import TensorDataset

from gan_convnorm.devices import usable_device
from gan_convnorm.fidelity import Evaluator, TensorImages, create_extractor
from gan_convnorm.fidelity.extractors import layer_for
from gan_convnorm.fidelity.features import extract
from gan_convnorm.gan.sampling import Sampler
from gan_convnorm.inference.neighbours import Neighbours, find_neighbours, spread_rows
from gan_convnorm.inference.projection import Projection, project

__all__ = ["RealImages", "nearest_train_images", "project_held_out"]

UNSEEN = 200  # images that the fakes' distances are compared with


class RealImages(Protocol):
    """The part of a data module that is read here.

    >>> from types import SimpleNamespace
    >>> import torch
    >>> cats = TensorDataset(torch.zeros(4, 1, 8, 8, dtype=torch.uint8))
    >>> data: RealImages = SimpleNamespace(name="cats", train_set=cats, test_set=None, file_names={})
    >>> data.name, len(data.train_set)
    ('cats', 4)

    Attributes:
        name: of the data set.
        train_set: images, and labels where there are classes.
        test_set: the same of held-out images; None where there are none.
        file_names: of the images of "train" and "test", where each is a file.
    """

    name: str
    train_set: TensorDataset
    test_set: TensorDataset | None
    file_names: Mapping[str, Sequence[str]]

    def prepare_data(self) -> None:
        """Download the images."""

    def setup(self, stage: str) -> None:
        """Read the images."""


def nearest_train_images(fakes: Tensor, data: RealImages, extractor: str, weights: str | None) -> Neighbours:
    """Find the training images nearest to fakes by pixels and by features.

    >>> from types import SimpleNamespace
    >>> import torch
    >>> images = torch.arange(16, dtype=torch.uint8).view(4, 1, 2, 2)
    >>> data = SimpleNamespace(name="toy", train_set=TensorDataset(images, torch.arange(4) % 2), test_set=None)
    >>> found = nearest_train_images(images[2:3], data, "classifier", None)
    looking for neighbours among 4 toy training images
    >>> int(found.numbers["pixels"][0, 0]), int(found.numbers["classifier features"][0, 0])
    (2, 2)

    Args:
        fakes: uint8 (n, C, H, W).
        data: set up.
        extractor: of the features.
        weights: its weights file.

    Returns:
        The training images and distances, with those of held-out images to compare.
    """
    train, test = data.train_set.tensors, data.test_set
    features = create_extractor(extractor, metrics=("prc",), labelled=train, weights=weights, device=usable_device())
    layer = layer_for(extractor, "prc")
    print(f"looking for neighbours among {len(train[0])} {data.name} training images", flush=True)
    # It keeps the training images' features in the cache.
    rows = Evaluator(features, train[0], metrics=("prc",), reference_name=f"{data.name} training images").real.rows[
        layer
    ]

    def to_features(images: Tensor) -> Tensor:
        found = extract(features, TensorImages(images))
        assert found is not None  # one process
        return found[layer]

    unseen = None if test is None else test.tensors[0][spread_rows(len(test), UNSEEN)]
    return find_neighbours(fakes, train[0], unseen, (f"{extractor} features", rows, to_features))


def project_held_out(module: Sampler, count: int, data: RealImages, *, ema: bool) -> tuple[Projection, Sequence[str]]:
    """Find the latents of held-out images, or of training images where none are held out; spread over the split.

    A generator of classes or vectors takes the images' own, so a held-out split without them is passed over.

    Args:
        module: a trained generator.
        count: number of images; all, where there are fewer.
        data: set up.
        ema: from the averaged weights, else from the current ones.

    Returns:
        The projection, and the images' file names, none where they are no files.
    """
    held_out = data.test_set
    if held_out is None or (module.takes_labels and len(held_out.tensors) < 2):
        split, kind, described = data.train_set, "train", "training images, for none are held out"
        described += "" if held_out is None else " with labels"
    else:
        split, kind, described = held_out, "test", "held-out images"
    rows = spread_rows(len(split), count)
    images, *labels = (tensor[rows] for tensor in split.tensors)
    print(f"looking for the latents of {len(images)} {data.name} {described}", flush=True)
    classes = labels[0] if module.takes_labels else None
    found = project(module, images, classes, seed=module.seed, ema=ema)
    names = data.file_names.get(kind, ())
    return found, [names[row] for row in rows.tolist()] if names else ()
