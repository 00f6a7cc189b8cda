"""The order of the images: a function of the seed and the step, whoever asks."""

import itertools

import pytest
import torch

from gan_convnorm.data.image_data import EndlessBatches


def batches(count, batch_size=4, per_step=1, seed=0, rank=0, world_size=1, start=0):
    stream = EndlessBatches(10, batch_size, per_step, seed, rank, world_size, lambda: start)
    return [batch.tolist() for batch in itertools.islice(stream, count)]


def test_every_pass_has_every_image_in_a_new_order():
    flat = list(itertools.chain(*batches(10)))
    passes = [flat[i : i + 10] for i in range(0, 40, 10)]
    assert all(sorted(p) == list(range(10)) for p in passes)
    assert len({tuple(p) for p in passes}) == 4


def test_a_batch_may_be_larger_than_the_data():
    (batch,) = batches(1, batch_size=25)
    assert len(batch) == 25
    assert all(2 <= batch.count(i) <= 3 for i in range(10))


def test_order_depends_on_the_seed_alone():
    assert batches(5, seed=1) == batches(5, seed=1)
    assert batches(5, seed=1) != batches(5, seed=2)


@pytest.mark.parametrize("per_step", [1, 3])
def test_the_step_is_all_that_resuming_needs(per_step):
    whole = batches(6, per_step=per_step, seed=3)
    assert batches(3, per_step=per_step, seed=3, start=3) == whole[3:]
    assert batches(1, per_step=per_step, seed=3, start=5) == whole[5:]


def test_parts_of_a_step_follow_each_other():
    whole = batches(6, batch_size=4)
    assert batches(2, batch_size=4, per_step=3) == [whole[0] + whole[1] + whole[2], whole[3] + whole[4] + whole[5]]


@pytest.mark.parametrize("per_step", [1, 3])
def test_processes_share_every_part(per_step):
    whole = torch.tensor(batches(4, batch_size=4, per_step=per_step)).view(4, per_step, 4)
    shares = [batches(4, batch_size=2, per_step=per_step, rank=rank, world_size=2) for rank in range(2)]
    parts = [torch.tensor(share).view(4, per_step, 2) for share in shares]
    assert torch.equal(torch.cat(parts, dim=2), whole)
