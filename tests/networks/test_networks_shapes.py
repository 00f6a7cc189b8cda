"""Networks for images that are not square."""

import pytest
import torch

from gan_convnorm.errors import BadInput
from gan_convnorm.networks import NETWORKS, Plan, SNGANDiscriminator, SNGANGenerator, find_networks
from gan_convnorm.networks.sngan import PLANS

OWN_PLAN = {"bottom": [3, 5], "generator": [8, 8, 4], "discriminator": [[4, True], [8, True], [8, False]]}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("norm", ["spectral", "convnorm", "batch"])
@pytest.mark.parametrize(("resolution", "shape"), [("32x48", (32, 48)), ("40x16", (40, 16)), ("48x64", (48, 64))])
def test_shapes(name, norm, resolution, shape):
    networks = find_networks(name)
    options = {"channels": 2, "width": 0.05, "num_classes": 3, "attention": 8 if min(shape) < 48 else 12}
    generator = networks.generator(resolution, latent_dim=7, norm=norm, **options)
    discriminator = networks.discriminator(resolution, norm=norm, **options)
    labels = torch.tensor([0, 2, 1])
    images = generator(torch.randn(3, 7), labels)
    assert images.shape == (3, 2, *shape)
    scores = discriminator(images, labels)
    scores.sum().backward()
    assert scores.shape == (3,)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in generator.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_are_those_of_the_shorter_side(name):
    """Only layers that see a whole feature map know the longer side: the others fit from one shape to another."""
    networks = find_networks(name)
    square, wide = (networks.discriminator(size, width=0.05).state_dict() for size in (32, "32x48"))
    assert square.keys() == wide.keys()
    other = {key.split(".")[0] for key in square if square[key].shape != wide[key].shape}
    assert other == (set() if name == "sngan" else {"linear"})
    square, wide = (networks.generator(size, width=0.05).state_dict() for size in (32, "48x32"))
    assert {key for key in square if square[key].shape != wide[key].shape} == {"linear.weight", "linear.bias"}
    assert wide["linear.bias"].numel() == square["linear.bias"].numel() * 6 // 4


def test_a_square_by_two_numbers_is_the_square():
    torch.manual_seed(3)
    one = SNGANGenerator(32, width=0.05)
    torch.manual_seed(3)
    other = SNGANGenerator("32x32", width=0.05)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    assert one.bottom == other.bottom == (13, 4, 4)


def test_a_generator_is_turned_with_its_start():
    """A turned start and turned kernels make turned images: rows and columns are nowhere confused."""
    wide = SNGANGenerator("16x24", channels=1, latent_dim=5, width=0.05).double()
    tall = SNGANGenerator("24x16", channels=1, latent_dim=5, width=0.05).double()
    state = {key: v.mT.contiguous() if v.dim() == 4 else v for key, v in wide.state_dict().items()}
    start = wide.linear.weight.unflatten(0, wide.bottom).transpose(1, 2).flatten(0, 2)
    state["linear.weight"] = start
    state["linear.bias"] = wide.linear.bias.unflatten(0, wide.bottom).mT.flatten()
    tall.load_state_dict(state)
    latents = torch.randn(4, 5, dtype=torch.float64)
    torch.testing.assert_close(tall(latents), wide(latents).mT, atol=1e-12, rtol=0)


@pytest.mark.parametrize("plan", [OWN_PLAN, Plan((3, 5), (8, 8, 4), ((4, True), (8, True), (8, False)))])
def test_a_plan_of_your_own_may_start_with_any_shape(plan):
    images = SNGANGenerator("12x20", plan=plan)(torch.randn(2, 128))
    assert images.shape == (2, 3, 12, 20)
    assert SNGANDiscriminator("12x20", plan=plan)(images).shape == (2,)
    with pytest.raises(BadInput, match=r"makes 12x20 images \(bottom 3x5, doubled 2 times\) and 20x12 are asked for"):
        SNGANGenerator("20x12", plan=plan)


@pytest.mark.parametrize("bottom", [[3], [3, 5, 7], [3, 0], [3, 2.5], [True, 3], "35", []])
def test_a_bad_start_is_one_line(bottom):
    with pytest.raises(BadInput, match=r"does not describe a network.*bottom \[4, 6\]"):
        SNGANGenerator("12x20", plan={**OWN_PLAN, "bottom": bottom})


@pytest.mark.parametrize(
    ("resolution", "message"),
    [
        ("32x50", r"no network for 32x50 images; beside a side of 32 .* a multiple of 8, such as 48 or 56;"),
        ("80x64", r"no network for 80x64 images; beside a side of 64 .* a multiple of 32, such as 64 or 96;"),
        ("20x32", r"no network for 20x32 images; its shorter side must be one of: 16, 32, 48, 64, 128;"),
        ("wide", r"resolution is 'wide'; expected .* such as 32x48"),
    ],
)
def test_a_size_that_does_not_fit_says_which_do(resolution, message):
    for network in (SNGANGenerator, SNGANDiscriminator):
        with pytest.raises(BadInput, match=message) as caught:
            network(resolution, width=0.05)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("side", PLANS)
def test_the_sizes_that_a_refusal_names_do_fit(name, side):
    network = find_networks(name).discriminator
    with torch.device("meta"), pytest.raises(BadInput) as caught:
        network(f"{side}x{2 * side + 1}", width=0.05)
    words = str(caught.value).partition("such as ")[2].partition(";")[0].split(" or ")
    for other in map(int, words):
        built = network(f"{other}x{side}", channels=1, width=0.01)
        assert built(torch.zeros(1, 1, other, side)).shape == (1,)


def test_the_shorter_side_names_the_feature_map_of_attention():
    generator = SNGANGenerator("32x48", width=0.05, attention=16)
    assert generator.attention_index == 1
    with pytest.raises(BadInput, match="feature maps have sides of: 8, 16, 32"):
        SNGANGenerator("32x48", width=0.05, attention=24)
