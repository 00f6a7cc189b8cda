"""The pixels of one image file as training, scoring and neighbours read it."""

import torch

from gan_convnorm.data import Folder
from gan_convnorm.fidelity import FolderImages
from gan_convnorm.inference.neighbours import find_neighbours


def trained(folder, **options):
    data = Folder(str(folder), **{"resolution": 8, "test_fraction": 0, **options})
    data.setup()
    return data.train_set.tensors[0]


def scored(folder):
    images = FolderImages(folder)
    return torch.cat(list(images.batches(0, len(images), 4)))


def nearest(folder):
    """The training image that is nearest to the expected one."""
    train = trained(folder)
    found = find_neighbours(scored(folder), train, None, count=1)
    assert found.distances["pixels"].item() == 0
    return train[found.numbers["pixels"][0]]
