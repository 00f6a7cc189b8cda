"""Augmentations against expectations built pixel by pixel from the same draws."""

import pytest
import torch

from gan_convnorm.errors import BadInput
from gan_convnorm.objectives.augmentation import AUGMENTATIONS, augment, parse_policy


def seeded(seed=5):
    return torch.Generator().manual_seed(seed)


def images(count=6, channels=3, height=12, width=20):
    return torch.randn(count, channels, height, width, dtype=torch.float64)


def test_color_against_its_definition():
    x, rng = images(), seeded()
    brightness, saturation, contrast = (torch.rand(6, 1, 1, 1, generator=rng).flatten().tolist() for _ in "bsc")
    expected = []
    for image, b, s, c in zip(x, brightness, saturation, contrast, strict=True):
        image = image + b - 0.5
        gray = (image[0] + image[1] + image[2]) / 3
        image = torch.stack([(channel - gray) * 2 * s + gray for channel in image])
        mean = image.sum() / image.numel()
        expected.append((image - mean) * (c + 0.5) + mean)
    torch.testing.assert_close(augment(x, ["color"], seeded()), torch.stack(expected), rtol=1e-12, atol=1e-12)


def test_saturation_of_gray_images_is_nothing():
    x, rng = images(channels=1), seeded()
    b, _, c = (torch.rand(6, 1, 1, 1, generator=rng).double() for _ in "bsc")
    bright = x + b - 0.5
    mean = bright.mean(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(
        augment(x, ["color"], seeded()), (bright - mean) * (c + 0.5) + mean, rtol=1e-12, atol=1e-12
    )


def test_translation_against_its_definition():
    x, rng = images(40), seeded()
    # An eighth of 12 is 1.5, rounded up; of 20 it is 2.5.
    down = torch.randint(-2, 3, (40, 1), generator=rng).flatten().tolist()
    right = torch.randint(-3, 4, (40, 1), generator=rng).flatten().tolist()
    assert {*down} == {*range(-2, 3)}
    assert {*right} == {*range(-3, 4)}
    expected = torch.zeros_like(x)
    for i, (dy, dx) in enumerate(zip(down, right, strict=True)):
        for y in range(12):
            for column in range(20):
                if 0 <= y - dy < 12 and 0 <= column - dx < 20:
                    expected[i, :, y, column] = x[i, :, y - dy, column - dx]
    assert torch.equal(augment(x, ["translation"], seeded()), expected)


@pytest.mark.parametrize(("height", "width"), [(12, 20), (5, 6)])
def test_cutout_against_its_definition(height, width):
    x, rng = images(60, height=height, width=width), seeded()
    sides = [int(side / 2 + 0.5) for side in (height, width)]
    centres = [
        torch.randint(0, side + 1 - size % 2, (60, 1), generator=rng).flatten().tolist()
        for side, size in zip((height, width), sides, strict=True)
    ]
    expected = x.clone()
    for i, (y, column) in enumerate(zip(*centres, strict=True)):
        top, left = y - sides[0] // 2, column - sides[1] // 2
        expected[i, :, max(top, 0) : top + sides[0], max(left, 0) : left + sides[1]] = 0
    found = augment(x, ["cutout"], seeded())
    assert torch.equal(found, expected)
    cut = (found == 0).all(dim=1).sum(dim=(1, 2))
    # At a corner a quarter of the square remains, in the middle all of it.
    assert cut.max() == sides[0] * sides[1]
    assert cut.min() >= (sides[0] // 2) * (sides[1] // 2)


def test_flip_against_its_definition():
    x = images(40)
    coins = (torch.rand(40, 1, 1, 1, generator=seeded()) < 0.5).flatten().tolist()
    assert 10 < sum(coins) < 30
    expected = torch.stack(
        [image[:, :, list(range(19, -1, -1))] if coin else image for image, coin in zip(x, coins, strict=True)]
    )
    assert torch.equal(augment(x, ["flip"], seeded()), expected)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_gradients(name):
    x = images(2, 2, 5, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augment(x, [name], seeded()), x)
    assert torch.autograd.gradgradcheck(lambda x: augment(x, [name], seeded()).tanh(), x)


@pytest.mark.parametrize("policy", [[name] for name in AUGMENTATIONS] + [list(AUGMENTATIONS)])
def test_every_image_has_its_own_draws(policy):
    x = images(8)
    first, second = augment(torch.cat([x, x]), policy, seeded()).chunk(2)
    assert not torch.equal(first, second)


def test_policies_are_applied_in_their_order():
    x, rng = images(), seeded()
    step_by_step = augment(augment(x, ["cutout"], rng), ["color"], rng)
    assert torch.equal(augment(x, ["cutout", "color"], seeded()), step_by_step)
    assert not torch.equal(augment(x, ["color", "cutout"], seeded()), step_by_step)


def test_draws_depend_on_the_rng_alone():
    x, state = images().float(), torch.get_rng_state()
    policy = parse_policy("color,translation,cutout,flip")
    first, second = augment(x, policy, seeded()), augment(x, policy, seeded())
    assert torch.equal(first, second)
    assert not torch.equal(first, augment(x, policy, seeded(6)))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.dtype == torch.float32
    assert augment(x, (), seeded()) is x


def test_parse_policy():
    assert parse_policy("color,translation,cutout,flip") == ("color", "translation", "cutout", "flip")
    assert parse_policy(" flip , color ") == ("flip", "color")
    assert parse_policy("") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "colour",
            "augmentation 'colour' is not known; choose from: color, translation, cutout, flip, joined by commas",
        ),
        ("color,", "augmentation '' is not known"),
        ("flip,color,flip", "augmentation 'flip' occurs 2 times in 'flip,color,flip'"),
    ],
)
def test_a_bad_policy_is_one_line(text, message):
    with pytest.raises(BadInput, match=message) as caught:
        parse_policy(text)
    assert "\n" not in str(caught.value)


def test_an_unknown_name():
    with pytest.raises(BadInput, match="augmentation 'blur' is not known"):
        augment(images(), ["blur"], seeded())
