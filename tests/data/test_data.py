"""Data modules."""

import pytest
import torch

from gan_convnorm.data import Digits
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


def test_batch_size_is_checked():
    with pytest.raises(BadInput, match="batch_size is 0"):
        Digits(batch_size=0)
