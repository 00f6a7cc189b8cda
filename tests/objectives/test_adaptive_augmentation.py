"""ADA's maps by invariants of their distributions, its pictures against scipy, and its strength in training."""

import math

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from scipy.ndimage import map_coordinates
from short_training import fit, small_gan

from gan_convnorm.data import Digits
from gan_convnorm.errors import BadInput
from gan_convnorm.objectives.adaptation import Adaptation
from gan_convnorm.objectives.adaptive_augmentation import augment_adaptively, random_colour, random_geometry
from gan_convnorm.objectives.objective import Objective

N, P = 40_000, 0.4
SIDES = (24, 48)  # height and width


def seeded(seed=5):
    return torch.Generator().manual_seed(seed)


def near(share, expected):
    """A share of N draws, within 5 standard deviations."""
    assert abs(share - expected) < 5 * math.sqrt(expected * (1 - expected) / N), (share, expected)


def happens_with_normal(logs, std):
    """Values that are 0 but for a share P, which is normal with this deviation."""
    found = logs[logs.abs() > 1e-9]
    near(len(found) / N, P)
    assert abs(found.mean()) < 5 * std / math.sqrt(len(found))
    assert found.std().item() == pytest.approx(std, rel=0.04)
    assert ((found / std).abs() < 1).double().mean().item() == pytest.approx(0.6827, abs=0.02)


def test_nothing_changes_at_p_0():
    images = torch.randn(4, 3, 8, 8)
    assert torch.equal(augment_adaptively(images, 0.0, seeded()), images)
    assert torch.equal(random_geometry(9, 0.0, SIDES, seeded()), torch.eye(3).double().repeat(9, 1, 1))
    torch.testing.assert_close(
        random_colour(9, 0.0, seeded()), torch.eye(4).double().repeat(9, 1, 1), rtol=0, atol=1e-15
    )
    # A p so small that nothing is drawn leaves the pictures as they are, by way of the maps.
    found = augment_adaptively(images, 1e-12, seeded())
    torch.testing.assert_close(found, images, rtol=0, atol=1e-5)


def test_geometry_is_distributed_as_defined():
    to_image = random_geometry(N, P, SIDES, seeded()).inverse()  # of source to augmented image
    linear, shift = to_image[:, :2, :2], to_image[:, :2, 2]
    near((linear.det() < 0).double().mean().item(), P / 2)  # a mirror in half of the cases
    happens_with_normal(linear.det().abs().log2() / 2, 0.2)  # the isotropic scale
    # The anisotropic scale s stretches x by s and y by 1 / s: the singular values' ratio is s^2 or s^-2.
    values = torch.linalg.svdvals(linear)
    stretch = (values[:, 0] / values[:, 1]).log2() / 2
    found = stretch[stretch > 1e-7]
    near(len(found) / N, P)
    assert found.square().mean().sqrt().item() == pytest.approx(0.2, rel=0.04)
    # Without it, all turns add up: a quarter turn in 3/4 of its cases, and free ones with probability P.
    rigid = linear[stretch <= 1e-7]
    rigid = rigid / rigid.det().abs().sqrt()[:, None, None]
    rigid = torch.where((rigid.det() < 0)[:, None, None], rigid @ torch.diag(torch.tensor([-1.0, 1.0])).double(), rigid)
    angle = torch.atan2(rigid[:, 1, 0], rigid[:, 0, 0]) / (math.pi / 2)
    free = (angle - angle.round()).abs() > 1e-7
    assert free.double().mean().item() == pytest.approx(P, abs=0.02)
    quarters = angle[~free].round().long() % 4
    for number in range(1, 4):
        assert (quarters == number).double().mean().item() == pytest.approx(P / 4, abs=0.01)
    assert angle[free].min() < -1.98 and angle[free].max() > 1.98
    # Translations of images that nothing else has changed: whole pixels up to an eighth of the side, and normal ones.
    still = (linear - torch.eye(2).double()).abs().amax(dim=(1, 2)) < 1e-9
    for axis, side in ((0, SIDES[1]), (1, SIDES[0])):
        moved = shift[still, axis]
        whole = (moved - moved.round()).abs() < 1e-9
        assert (~whole).double().mean().item() == pytest.approx(P, abs=0.02)
        assert moved[whole].abs().max().item() == pytest.approx(side / 8, abs=1e-9)
        # Normal with an eighth of the side, and with probability P a uniform one of the same range.
        variance = (side / 8) ** 2 * (1 + P / 3)
        assert moved[~whole].var().item() == pytest.approx(variance, rel=0.12)


def test_colours_are_distributed_as_defined():
    colour = random_colour(N, P, seeded())
    linear, shift = colour[:, :3, :3], colour[:, :3, 3]
    grey = torch.full((3,), 3**-0.5, dtype=torch.float64)
    along = torch.einsum("i,bij,j->b", grey, linear, grey)  # grey stays grey: contrast, and the sign of the luma flip
    near((along < 0).double().mean().item(), P / 2)
    happens_with_normal(along.abs().log2(), 0.5)
    torch.testing.assert_close(linear @ grey, along[:, None] * grey, rtol=0, atol=1e-12)
    happens_with_normal((shift @ grey) / along / 3**0.5, 0.2)  # brightness, before all others
    # In the plane across grey: contrast, saturation, and a turn of the hue.
    across = torch.tensor([[1, -1, 0], [1, 1, -2]], dtype=torch.float64)
    across = across / across.norm(dim=1, keepdim=True)
    plane = across @ linear @ across.T
    size = plane.det().sqrt() / along.abs()
    happens_with_normal(size.log2(), 1.0)
    angle = torch.atan2(plane[:, 1, 0], plane[:, 0, 0])
    turned = angle.abs() > 1e-9
    near(turned.double().mean().item(), P)
    assert angle[turned].std().item() == pytest.approx(math.pi / 3**0.5, rel=0.03)  # uniform in +-pi


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_against_scipy(channels):
    images = torch.randn(8, channels, 9, 14, dtype=torch.float64)
    rng = seeded(3)
    maps, colours = random_geometry(8, 1.0, (9, 14), rng).numpy(), random_colour(8, 1.0, rng).numpy()
    rows, columns = np.mgrid[:9, :14]
    places = np.stack([columns - 6.5, rows - 4.0, np.ones((9, 14))])
    expected = np.empty(images.shape)
    for image, out, geometry, colour in zip(images.numpy(), expected, maps, colours, strict=True):
        x, y, _ = np.einsum("ij,jhw->ihw", geometry, places)
        for channel in range(channels):
            out[channel] = map_coordinates(image[channel], [y + 4.0, x + 6.5], order=1, mode="reflect")
        rgb = np.repeat(out[:1], 3, 0) if channels == 1 else out[:3]
        mapped = np.einsum("ij,jhw->ihw", colour[:3, :3], rgb) + colour[:3, 3, None, None]
        out[:3] = mapped.mean(0) if channels == 1 else mapped
    found = augment_adaptively(images, 1.0, seeded(3))
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=0, atol=1e-10)
    part = augment_adaptively(images[3:5], 1.0, seeded(3), start=3, whole=8)
    torch.testing.assert_close(part, found[3:5], rtol=0, atol=1e-12)


def test_gradients():
    images = torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: augment_adaptively(x, 1.0, seeded()), images)


def test_p_follows_the_signs_of_outputs_for_real_images():
    adaptation = Adaptation(kimg=1.0)
    for scores, expected in (
        ([1.0] * 10, 0.04),  # r = 1
        ([1.0] * 9 + [-2.0], 0.08),  # r = 0.8
        ([3.0] * 7 + [-0.1] * 3, 0.04),  # r = 0.4, below 0.6
        ([-1.0] * 10, 0.0),
        ([-1.0] * 10, 0.0),  # not below 0
    ):
        for _ in range(4):
            before = adaptation.p
            adaptation.see(torch.tensor(scores))
            adaptation.advance(images=10)
        assert before != adaptation.p or expected == 0
        assert adaptation.p == pytest.approx(expected)
    quick = Adaptation(kimg=0.001)
    for _ in range(8):
        quick.see(torch.ones(5))
        quick.advance(images=5)
    assert quick.p == 1.0


class Strength(pl.Callback):
    """p after every step, and a checkpoint of one step."""

    def __init__(self, path=None, head=None):
        self.p, self.path, self.head = [], path, head

    def on_fit_start(self, trainer, pl_module):
        if self.head is not None:
            torch.nn.init.constant_(pl_module.discriminator.linear.weight, self.head)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.p.append(pl_module.objective.adaptation.p)
        if self.path is not None and pl_module.g_step == 5:
            trainer.save_checkpoint(self.path)


@pytest.mark.slow
def test_p_rises_when_the_discriminator_wins_and_falls_when_it_does_not():
    ada = {"augmentation": "ada", "ada_kimg": 0.32, "disc_norm": "none"}  # 8 images and 4 steps are 0.1
    wins, loses = Strength(), Strength(head=-1.0)
    fit(wins, steps=60, gen_lr=1e-9, disc_lr=2e-3, **ada)
    assert wins.p[-1] > 0.3
    gan = small_gan(steps=9, gen_lr=1e-9, disc_lr=1e-9, **ada)
    gan.objective.adaptation.p = 0.5
    pl.Trainer(
        max_epochs=-1,
        callbacks=[loses],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        accelerator="cpu",
    ).fit(gan, Digits(batch_size=8))
    assert loses.p[3] == pytest.approx(0.4) and loses.p[-1] == pytest.approx(0.3)


@pytest.mark.slow
def test_a_resumed_run_goes_on_bit_for_bit(tmp_path):
    options = {"steps": 10, "augmentation": "ada", "ada_kimg": 0.1, "disc_norm": "none", "n_dis": 2}
    whole, again = Strength(tmp_path / "five.ckpt"), Strength()
    gan, trainer = fit(whole, **options)
    assert len(set(whole.p)) > 2
    resumed = small_gan(**options)
    trainer = pl.Trainer(
        max_epochs=-1,
        callbacks=[again],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        accelerator="cpu",
    )
    trainer.fit(resumed, Digits(batch_size=8), ckpt_path=tmp_path / "five.ckpt")
    assert again.p == whole.p[5:]
    one, two = gan.state_dict(), resumed.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augmentation": "ada,flip"}, "augmentation 'ada' is not known; .* or ada, alone"),
        ({"augmentation": "ada", "loss": "wasserstein"}, "the loss wasserstein gives no meaning; choose one of: hinge"),
        ({"augmentation": "ada", "ada_kimg": 0.0}, "ada_kimg is 0.0, and must be above 0"),
    ],
)
def test_bad_settings_are_one_line(options, message):
    with pytest.raises(BadInput, match=message):
        small_gan(**options)


def test_a_damaged_state_is_one_line():
    for state in (None, {"p": 0.1}, {**Adaptation(1).state(), "p": float("nan")}, {**Adaptation(1).state(), "p": 2.0}):
        with pytest.raises(BadInput, match="the checkpoint's entry ada"):
            Adaptation(1).restore(state)


@pytest.mark.parametrize("augmentation", ["ada", "color,translation,cutout"])
def test_real_and_fake_images_are_augmented_alike_under_autocast(augmentation):
    """Fakes come in bfloat16; the places that are read, and the colours, are those of float32."""
    objective = Objective(augmentation=augmentation)
    if objective.adaptation is not None:
        objective.adaptation.p = 1.0
    images = torch.randn(4, 3, 32, 32).bfloat16()
    expected = objective._augment(images.float(), seeded())
    with torch.autocast("cpu", torch.bfloat16):
        found = [objective._augment(each, seeded()) for each in (images, images.float())]
    assert all(torch.equal(each, expected) for each in found)
