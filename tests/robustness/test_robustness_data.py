"""What a classifier trains on: splits, wrong labels, batches, augmentation."""

import math
from itertools import chain
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import TensorDataset

from gan_convnorm.data import Digits, ImageData
from gan_convnorm.errors import BadInput
from gan_convnorm.robustness.augmentation import crop_and_flip
from gan_convnorm.robustness.epoch_batches import EpochBatches
from gan_convnorm.robustness.labels import CONFUSIONS, noisy_labels
from gan_convnorm.robustness.training_data import LabelledData, TrainingSplit, class_balanced

LABELS = torch.arange(2000) % 10


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.4, 0.8])
def test_symmetric_noise_hits_its_rate_and_spares_no_class(rate):
    noisy = noisy_labels(LABELS, rate, 10, seed=1)
    wrong = noisy != LABELS
    assert wrong.sum() == round(rate * 2000)
    if rate:
        # Uniform over the nine others: counts are binomial.
        counts = torch.bincount((noisy - LABELS)[wrong] % 10, minlength=10)
        n = int(wrong.sum())
        assert counts[0] == 0
        assert (counts[1:] - n / 9).abs().max() < 4 * math.sqrt(n * 8 / 81)
    assert torch.equal(noisy, noisy_labels(LABELS, rate, 10, seed=1))
    assert rate == 0 or not torch.equal(noisy, noisy_labels(LABELS, rate, 10, seed=2))
    assert torch.equal(LABELS, torch.arange(2000) % 10)


def test_symmetric_noise_that_may_draw_the_true_class():
    wrong = (noisy_labels(LABELS, 0.8, 10, kind="symmetric-any") != LABELS).float().mean().item()
    assert wrong == pytest.approx(0.8 * 0.9, abs=4 * math.sqrt(0.8 * 0.1 * 0.9 / 2000))


def test_asymmetric_noise_follows_its_table():
    noisy = noisy_labels(LABELS, 0.4, 10, kind="asymmetric", data="cifar10")
    for label in range(10):
        (places,) = torch.where(LABELS.eq(label))
        members = noisy[places]
        target = CONFUSIONS["cifar10"].get(label)
        assert (members == label).sum() == (200 if target is None else 120)
        assert target is None or (members == target).sum() == 80
    assert (noisy != LABELS).sum() == 5 * 80
    # Other data: the next class.
    noisy = noisy_labels(LABELS, 0.5, 10, kind="asymmetric")
    wrong = noisy != LABELS
    assert wrong.sum() == 1000 and torch.equal(noisy[wrong], (LABELS[wrong] + 1) % 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(rate=1.1, num_classes=10), "label noise is 1.1"),
        (dict(rate=0.1, num_classes=1), "needs two classes"),
        (dict(rate=0.1, num_classes=10, kind="odd"), "choose one of: symmetric, symmetric-any, asymmetric"),
    ],
)
def test_bad_noise(arguments, message):
    with pytest.raises(BadInput, match=message):
        noisy_labels(LABELS, **arguments)


def test_class_balanced_shares():
    labels = torch.cat([torch.zeros(100), torch.ones(10), torch.full((3,), 2)]).long()
    chosen, rest = class_balanced(labels, 0.1, torch.Generator().manual_seed(0))
    assert torch.bincount(labels[chosen]).tolist() == [10, 1, 1]
    assert sorted([*chosen.tolist(), *rest.tolist()]) == list(range(113))


def key(images):
    return {image.numpy().tobytes() for image in images}


def prepared(**split):
    data = LabelledData(Digits(), TrainingSplit(**split))
    data.setup()
    return data


def test_the_validation_split_is_clean_disjoint_and_the_same_under_every_condition():
    plain = prepared()
    everything = Digits()
    everything.setup()
    images, labels = everything.train_set.tensors
    truth = {image.numpy().tobytes(): int(label) for image, label in zip(images, labels, strict=True)}
    assert len(truth) == len(images)  # no image twice
    val_images, val_labels = plain.val_set.tensors
    assert len(val_images) + len(plain.train_set) == len(images)
    assert not key(val_images) & key(plain.train_set.tensors[0])
    shares = torch.bincount(val_labels) / torch.bincount(labels)
    assert (shares - 0.1).abs().max() < 0.5 / 130
    noisy = prepared(label_noise=0.4, fraction=0.25)
    assert torch.equal(noisy.val_set.tensors[0], val_images) and torch.equal(noisy.val_set.tensors[1], val_labels)
    assert all(truth[i.numpy().tobytes()] == int(k) for i, k in zip(val_images, val_labels, strict=True))
    trained, given = noisy.train_set.tensors
    true = torch.tensor([truth[i.numpy().tobytes()] for i in trained])
    assert key(trained) < key(plain.train_set.tensors[0])
    counts = torch.bincount(true).float() / torch.bincount(plain.train_set.tensors[1])
    assert (counts - 0.25).abs().max() < 0.5 / 115
    assert noisy.wrong_labels == (given != true).double().mean().item() == pytest.approx(0.4, abs=0.5 / len(true))
    assert torch.equal(noisy.test_set.tensors[1], everything.test_set.tensors[1])
    assert noisy.describe()["wrong_labels"] == pytest.approx(noisy.wrong_labels, abs=1e-6)
    assert not torch.equal(prepared(fraction=0.25, seed=1).train_set.tensors[1], true)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"validation": 0}, "validation is 0"),
        ({"fraction": 0}, "--fraction is 0"),
        ({"fraction": 1.5}, "--fraction is 1.5"),
        ({"label_noise": -0.1}, "--label-noise is -0.1"),
    ],
)
def test_bad_splits(split, message):
    with pytest.raises(BadInput, match=message):
        TrainingSplit(**split)


def test_an_epoch_is_a_function_of_seed_and_number():
    order = EpochBatches(23, 5, seed=3)
    first = list(order)
    assert len(order) == len(first) == 4 and all(len(b) == 5 for b in first)
    assert len(set(chain(*first))) == 20
    order.set_epoch(1)
    assert list(order) != first
    order.set_epoch(0)
    assert list(order) == first
    # Two processes see the batches of one with twice the size.
    whole = list(EpochBatches(23, 10, seed=3))
    parts = [list(EpochBatches(23, 5, 3, rank, 2)) for rank in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*parts, strict=True)] == [sorted(b) for b in whole]
    # Free training sees each batch several times in a row.
    replayed = EpochBatches(23, 5, seed=3, replays=3)
    assert len(replayed) == 12 and list(replayed) == [b for b in first for _ in range(3)]
    # Without a seed everything is there once, in order; fewer images than a batch make one.
    assert [*chain(*EpochBatches(23, 5, None))] == list(range(23))
    assert sorted(chain(*EpochBatches(23, 5, None, 0, 2), *EpochBatches(23, 5, None, 1, 2))) == list(range(23))
    assert [len(b) for b in EpochBatches(3, 5, 0)] == [3]


def test_crop_and_flip():
    images = torch.rand(64, 3, 6, 5)
    random = torch.Generator().manual_seed(0)
    found = crop_and_flip(images, 2, True, random)
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    seen = set()
    for image, result in zip(padded, found, strict=True):
        windows = {(top, left): image[:, top : top + 6, left : left + 5] for top in range(5) for left in range(5)}
        matches = [(*place, False) for place, window in windows.items() if torch.equal(result, window)]
        matches += [(*place, True) for place, window in windows.items() if torch.equal(result, window.flip(2))]
        assert len(matches) == 1
        seen.add(matches[0])
    assert len(seen) > 30 and {s[0] for s in seen} == {s[1] for s in seen} == set(range(5))
    assert sum(s[2] for s in seen) > 15
    assert crop_and_flip(images, 0, False, random) is images


class ByClass(ImageData):
    """Grey images in the order of their classes, as a folder's are."""

    def __init__(self, counts, name="by_class"):
        super().__init__(resolution=8, channels=1, num_classes=len(counts), batch_size=8, seed=0)
        self.counts, self.name = counts, name

    def setup(self, stage=None):
        labels = torch.repeat_interleave(torch.arange(len(self.counts)), torch.tensor(self.counts))
        images = torch.arange(len(labels)).view(-1, 1, 1, 1).expand(-1, 1, 8, 8).to(torch.uint8)
        self.train_set = self.test_set = TensorDataset(images, labels)


def test_overfit_batches_keeps_the_same_images_of_all_classes():
    data = LabelledData(ByClass([60, 60, 60]), TrainingSplit())
    data.setup()
    data.trainer = SimpleNamespace(global_rank=0, world_size=1, lightning_module=None)
    data.overfit_batches = 2
    loader = data.train_dataloader()
    epochs = [list(loader), list(loader), list(data.train_dataloader())]
    assert all([len(images) for images, _ in batches] == [8, 8] for batches in epochs)
    kept = [sorted(image[0, 0, 0].item() for images, _ in batches for image in images) for batches in epochs]
    assert kept[0] == kept[1] == kept[2] and len(set(kept[0])) == 16
    assert set(torch.cat([labels for _, labels in epochs[0]]).tolist()) == {0, 1, 2}


def test_a_class_with_nothing_left_to_train_on_is_refused():
    with pytest.raises(
        BadInput, match="leaves none of class 1 to train on; expected two images or more of every class"
    ):
        LabelledData(ByClass([20, 1]), TrainingSplit()).setup()


def test_a_folder_with_the_name_of_a_data_set_has_no_table_of_confusions():
    """A folder named digits may have any number of classes: each is taken for the next one."""
    data = LabelledData(
        ByClass([40, 40, 40], name="digits"), TrainingSplit(label_noise=0.5, label_noise_kind="asymmetric")
    )
    data.setup()
    true = ByClass([40, 40, 40])
    true.setup()
    images, labels = data.train_set.tensors
    right = true.train_set.tensors[1][images[:, 0, 0, 0].long()]
    assert set((labels - right).remainder(3).tolist()) == {0, 1} and data.wrong_labels == 0.5
