"""Digits and the endless stream of batches."""

import itertools

import pytest
import torch
from torch.utils.data import TensorDataset

from gan_convnorm.data import Digits
from gan_convnorm.data.image_data import EndlessBatches
from gan_convnorm.errors import BadInput


@pytest.mark.parametrize("resolution", [16, 32])
def test_digits(resolution):
    data = Digits(resolution)
    data.setup()
    train, train_labels = data.train_set.tensors
    test, test_labels = data.test_set.tensors
    assert train.shape == (1437, 1, resolution, resolution)
    assert test.shape == (360, 1, resolution, resolution)
    assert train.dtype == torch.uint8
    assert train.amin() == 0 and train.amax() == 255
    assert set(train_labels.tolist()) == set(test_labels.tolist()) == set(range(10))
    assert (data.resolution, data.channels, data.num_classes) == (resolution, 1, 10)
    again = Digits(resolution, seed=5)
    again.setup()
    assert torch.equal(again.train_set.tensors[0], train)


def batches(count, start=0, **options):
    stream = EndlessBatches(TensorDataset(torch.arange(10)), **options)
    stream.load_state_dict({"position": start})
    return [batch[0].tolist() for batch, _ in zip(stream, range(count), strict=False)]


def test_every_pass_has_every_image_in_a_new_order():
    flat = list(itertools.chain(*batches(10, batch_size=4, seed=0)))
    passes = [flat[i : i + 10] for i in range(0, 40, 10)]
    assert all(sorted(p) == list(range(10)) for p in passes)
    assert len({tuple(p) for p in passes}) == 4


def test_a_batch_may_be_larger_than_the_data():
    (batch,) = batches(1, batch_size=25, seed=0)
    assert len(batch) == 25
    assert all(2 <= batch.count(i) <= 3 for i in range(10))


def test_order_depends_on_the_seed_alone():
    assert batches(5, batch_size=4, seed=1) == batches(5, batch_size=4, seed=1)
    assert batches(5, batch_size=4, seed=1) != batches(5, batch_size=4, seed=2)


def test_position_is_all_that_resuming_needs():
    stream = EndlessBatches(TensorDataset(torch.arange(10)), 4, seed=3)
    iterator = iter(stream)
    for _ in range(3):
        next(iterator)
    rest = [next(iterator)[0].tolist() for _ in range(3)]
    assert batches(3, start=12, batch_size=4, seed=3) == rest


def test_processes_share_a_batch():
    whole = batches(3, batch_size=4, seed=0)
    parts = [batches(3, batch_size=2, seed=0, rank=rank, world_size=2) for rank in range(2)]
    assert [a + b for a, b in zip(*parts, strict=True)] == whole


def test_batch_size_is_checked():
    with pytest.raises(BadInput, match="batch_size is 0"):
        Digits(batch_size=0)
