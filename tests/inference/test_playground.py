"""A generator to play with: each image follows from its seed, class and truncation."""

from pathlib import Path

import pytest
import torch

from gan_convnorm.errors import BadInput
from gan_convnorm.gan import GAN, Architecture
from gan_convnorm.gan.loading import load
from gan_convnorm.inference.playground import Playground

ZOO = Path(__file__).parents[2] / "checkpoints" / "digits_convnorm"


@pytest.fixture(scope="module")
def conditional():
    torch.manual_seed(0)
    architecture = Architecture(width=0.05, conditional=True)
    return GAN(resolution=16, channels=1, num_classes=3, architecture=architecture).eval()


def test_images_are_the_samples_of_their_seed():
    sampler = load(ZOO)
    images = Playground(sampler).images(seed=7, count=3, truncation=0.5)
    assert torch.equal(images, sampler.sample(3, seed=7, truncation=0.5))
    assert not torch.equal(images, Playground(sampler).images(seed=8, count=3, truncation=0.5))


def test_a_walk_begins_and_ends_at_the_samples_of_its_seeds():
    playground = Playground(load(ZOO))
    way = playground.walk(3, 4, steps=5)
    ends = torch.cat([playground.images(3), playground.images(4)])
    # The first and last latents are exact but for the rounding of the arc.
    assert (way[[0, -1]].int() - ends.int()).abs().max() <= 1
    steps = (way[1:].float() - way[:-1].float()).square().mean((1, 2, 3))
    assert (steps > 0).all() and steps.max() < (ends[0].float() - ends[1].float()).square().mean()


def test_a_class_is_kept_on_the_whole_way(conditional):
    playground = Playground(conditional)
    assert torch.equal(playground.images(5, 2, label=1), conditional.sample(2, labels=1, seed=5))
    way = playground.walk(5, 6, label=2)
    assert (way[0].int() - playground.images(5, label=2)[0].int()).abs().max() <= 1
    assert (way[-1].int() - playground.images(6, label=2)[0].int()).abs().max() <= 1


def test_nearest_finds_a_copy_among_the_train_images(digits):
    train = digits.train_set.tensors[0]
    playground = Playground(load(ZOO), train)
    found, distances = playground.nearest(train[40], count=3)
    assert torch.equal(found[0], train[40]) and distances[0] == 0
    expected = (train.double() / 255 - train[40].double() / 255).square().mean((1, 2, 3)).sqrt().sort().values
    torch.testing.assert_close(distances.double(), expected[:3], rtol=1e-5, atol=1e-7)


def test_train_images_of_another_size_are_refused(digits):
    with pytest.raises(BadInput, match=r"\(3, 16, 16\).*\(1, 16, 16\)"):
        Playground(load(ZOO), digits.train_set.tensors[0].expand(-1, 3, -1, -1))
    with pytest.raises(BadInput, match="--train-images"):
        Playground(load(ZOO)).nearest(digits.train_set.tensors[0][0])
