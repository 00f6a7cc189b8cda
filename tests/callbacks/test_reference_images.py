"""The real images that scores compare with, from a tensor, a data set, a loader, a folder or a file."""

import numpy as np
import pytest
import torch
from strangers import digits_loader, reference
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    SequentialSampler,
    SubsetRandomSampler,
    TensorDataset,
    default_collate,
)

from gan_convnorm.callbacks.reference_images import given_images
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import TensorImages, create_extractor


class Items(Dataset):
    """Images with labels, one at a time."""

    def __len__(self):
        return 128

    def __getitem__(self, row):
        images, labels = reference()
        return images[row], int(labels[row])


def folder(path):
    from PIL import Image

    images, labels = reference()
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        (path / str(int(label))).mkdir(exist_ok=True, parents=True)
        Image.fromarray(image[0].numpy()).save(path / str(int(label)) / f"{row:03d}.png")
    return path


KINDS = ["tensor", "floats", "pair", "dataset", "loader", "shuffled loader", "own collate", "npz", "image set"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_of_any_kind_holds_the_same_images(kind, tmp_path):
    images, labels = reference()
    np.savez(tmp_path / "images.npz", images.permute(0, 2, 3, 1).numpy())
    found = {
        "tensor": lambda: given_images(images),
        "floats": lambda: given_images(images / 255, (0, 1)),
        "pair": lambda: given_images((images, labels)),
        "dataset": lambda: given_images(Items()),
        "loader": lambda: given_images(digits_loader(), (0, 1)),
        "shuffled loader": lambda: given_images(
            DataLoader(TensorDataset(images, labels), batch_size=50, shuffle=True, drop_last=True)
        ),
        "own collate": lambda: given_images(
            DataLoader(Items(), batch_size=50, shuffle=True, drop_last=True, collate_fn=lambda x: default_collate(x))
        ),
        "npz": lambda: given_images(tmp_path / "images.npz"),
        "image set": lambda: given_images(TensorImages(images)),
    }[kind]()
    assert torch.equal(torch.cat(list(found.source.batches(0, 128, 50))), images)
    with_labels = kind in ("pair", "dataset", "loader", "shuffled loader", "own collate")
    assert (found.labels is not None) == with_labels and len(found.labelled) == 1 + with_labels
    if with_labels:
        assert torch.equal(found.labels, labels)


def test_two_batches_are_no_images_with_labels():
    with pytest.raises(BadInput, match=r"the second, of shape \(64, 1, 8, 8\) and torch.uint8, is no labels"):
        given_images(list(reference()[0].chunk(2)))


def test_labels_beyond_a_classifier_s_classes_are_refused_before_it_is_trained():
    images, labels = reference()
    with pytest.raises(BadInput, match="whole numbers from 0 to 65535"):
        create_extractor("classifier", labelled=(images, labels + 65536))


def test_a_folder_of_classes_brings_its_labels(tmp_path):
    found = given_images(folder(tmp_path / "photos"))
    assert len(found.source) == 128 and found.name == "photos"
    assert torch.equal(found.labels.sort().values, reference()[1].sort().values)


def test_a_loaders_sampler_chooses_the_reference():
    whole = digits_loader(128)
    half = DataLoader(whole.dataset, batch_size=16, sampler=SubsetRandomSampler(range(64, 128)))
    shuffled = DataLoader(whole.dataset, batch_size=16, shuffle=True, drop_last=True)
    found = [given_images(loader, (0, 1)).source for loader in (half, shuffled, whole)]
    assert [len(images) for images in found] == [64, 128, 128]
    assert torch.equal(*(next(iter(images.batches(0, 128, 128))) for images in found[1:]))


def test_a_loaders_batch_sampler_chooses_the_reference():
    whole = digits_loader(128)
    few = DataLoader(whole.dataset, batch_sampler=BatchSampler(SequentialSampler(range(32)), 16, drop_last=False))
    own = DataLoader(whole.dataset, batch_sampler=[[0, 1], [5]])
    assert [len(given_images(loader, (0, 1)).source) for loader in (few, own)] == [128, 3]


def test_labels_of_numpy_are_labels():
    class Numbered(Items):
        def __getitem__(self, row):
            image, label = super().__getitem__(row)
            return image, np.int64(label)

    found = given_images(Numbered())
    assert torch.equal(found.labels, given_images(Items()).labels)
