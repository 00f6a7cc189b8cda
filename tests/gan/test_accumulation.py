"""Steps over micro-batches against the same steps over the whole batch, in float64."""

import copy

import pytest
import pytorch_lightning as pl
import torch
from short_training import fit

from gan_convnorm.errors import BadInput
from gan_convnorm.gan.accumulation import micro_batches
from gan_convnorm.layers import OriginalConvNorm2d
from gan_convnorm.networks import SNGANDiscriminator, SNGANGenerator
from gan_convnorm.objectives.penalties import PENALTIES


def state_after(accumulate, **options):
    """Weights, buffers and both losses of two generator steps; batches of 8 images."""
    losses = []

    class Losses(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            losses.extend(outputs.values())

    options = {"gen_norm": "none", "steps": 2, "n_dis": 2, "gen_lr": 1e-3, "disc_lr": 1e-3, **options}
    gan, _ = fit(Losses(), precision="64-true", accumulate=accumulate, **options)
    return {**gan.state_dict(), **{f"loss {i}": loss for i, loss in enumerate(losses)}}


def largest_difference(one, other):
    assert one.keys() == other.keys()
    return max((one[key] - other[key]).abs().max().item() for key in one if one[key].numel())


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"penalty": "r1"},
        {"penalty": "r1", "disc_norm": "convnorm"},
        {"penalty": "wgan_gp", "loss": "wasserstein", "disc_norm": "none"},
        {"penalty": "dragan", "disc_norm": "none", "augmentation": "color,translation,cutout,flip"},
        {"loss": "relativistic", "augmentation": "translation,color"},
        {"penalty": "r1", "gen_batch_size": 11, "num_classes": 10, "conditional": True, "gen_norm": "spectral"},
        {"disc_norm": "ocnn"},
        {"augmentation": "ada", "ada_kimg": 0.064, "steps": 4},
        {"disc_norm": "spectral_conv"},
    ],
    ids=lambda options: "-".join(map(str, options.values()))[:40],
)
def test_micro_batches_take_the_step_of_the_whole_batch(options):
    # Batches of 8 in micro-batches of 3, 3 and 2. Adam divides by the gradient's size, and so enlarges rounding.
    whole, parts = state_after(1, **options), state_after(3, **options)
    assert largest_difference(whole, parts) < 1e-9
    other = state_after(1, **options, seed=1)
    assert largest_difference(whole, other) > 1e-4


def test_the_largest_batch_of_one_pass_is_a_micro_batch(monkeypatch):
    seen = []
    for network in (SNGANDiscriminator, SNGANGenerator):
        forward = network.forward
        monkeypatch.setattr(
            network,
            "forward",
            lambda self, x, *rest, f=forward: (seen.append((type(self), len(x))), f(self, x, *rest))[1],
        )
    fit(steps=1, accumulate=4, gen_norm="none")
    assert set(seen) == {(SNGANGenerator, 2), (SNGANDiscriminator, 4), (SNGANDiscriminator, 2)}


def test_batch_norm_takes_the_statistics_of_each_micro_batch():
    whole, parts = (state_after(accumulate, gen_norm="batch") for accumulate in (1, 2))
    assert largest_difference(whole, parts) > 1e-4
    counts = [key for key in whole if key.startswith("generator.") and key.endswith("num_batches_tracked")]
    assert counts
    for key in counts:
        # Two discriminator steps and one of the generator, twice, each once a micro-batch.
        assert (whole[key].item(), parts[key].item()) == (6, 12)


def test_more_micro_batches_than_images_are_refused():
    with pytest.raises(BadInput, match=r"a step has 8 images, fewer than the 9 micro-batches \(accumulate\)"):
        fit(steps=1, accumulate=9)
    with pytest.raises(BadInput, match="accumulate is 0, and must be from 1"):
        fit(steps=1, accumulate=0)
    assert [rows.stop for rows in micro_batches(8, 8, torch.Generator(), torch.nn.Identity())] == [*range(1, 9)]


def test_penalties_that_draw_can_give_a_micro_batch_its_rows():
    """A penalty without `points` must not draw: each micro-batch would get numbers of another place."""
    images = torch.randn(4, 1, 3, 3)
    for name, penalty in PENALTIES.items():
        rng = torch.Generator().manual_seed(0)
        before = rng.get_state()
        penalty.function(lambda x: x.square().sum(dim=(1, 2, 3)), images, images, rng=rng)
        assert torch.equal(rng.get_state(), before) == (penalty.points is None), name


def test_micro_batches_put_back_a_buffer_that_a_norm_replaces():
    torch.manual_seed(0)
    layer = OriginalConvNorm2d(3, 4, 3, padding=1, momentum=0.5)
    images, states = torch.randn(8, 3, 6, 6), []
    for parts in (1, 2, 4):
        network = copy.deepcopy(layer)
        for rows in micro_batches(8, parts, torch.Generator(), network):
            network(images[rows])
        states.append(network.running_preconditioner)
    assert torch.equal(states[0], states[1]) and torch.equal(states[0], states[2])


def test_the_average_follows_buffers_that_take_the_images_shape():
    gan, _ = fit(gen_norm="convnorm_2021", steps=2)
    buffers = [name for name, _ in gan.generator.named_buffers() if name.endswith("running_preconditioner")]
    assert buffers
    for name in buffers:
        assert torch.equal(gan.generator.get_buffer(name), gan.generator_ema.get_buffer(name))
