"""Losses against values computed by hand, and against what is known of the Dirac-GAN."""

import math

import pytest
import torch

from gan_convnorm.errors import BadInput
from gan_convnorm.objectives.losses import LOSSES, find_loss, hinge_discriminator

REAL, FAKE = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])


def softplus(x):
    return math.log(1 + math.exp(x))


def test_hinge_discriminator_has_no_gradient_beyond_the_margin():
    real = torch.tensor([2.0, 0.5], requires_grad=True)
    hinge_discriminator(real, torch.tensor([-3.0])).backward()
    assert real.grad.tolist() == [0.0, -0.5]


@pytest.mark.parametrize(
    ("name", "of_discriminator", "of_generator"),
    [
        ("hinge", 0.25 + 1.0, 1.0),
        (
            "non_saturating",
            (softplus(-2) + softplus(-0.5) + softplus(-3) + softplus(1)) / 2,
            (softplus(3) + softplus(-1)) / 2,
        ),
        # (1 + 0.25) / 4 and (9 + 1) / 4; (16 + 0) / 4.
        ("least_squares", 0.3125 + 2.5, 4.0),
        ("wasserstein", -1.0 - 1.25, 1.0),
        # Pairs (2, -3) and (0.5, 1).
        ("relativistic", (softplus(-5) + softplus(0.5)) / 2, (softplus(5) + softplus(-0.5)) / 2),
    ],
)
def test_values_by_hand(name, of_discriminator, of_generator):
    loss = find_loss(name)
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(of_discriminator, rel=1e-6)
    assert loss.generator(FAKE, REAL).item() == pytest.approx(of_generator, rel=1e-6)
    if not loss.uses_real:
        assert loss.generator(FAKE) == loss.generator(FAKE, REAL)


def test_all_losses_have_values_by_hand():
    (mark,) = test_values_by_hand.pytestmark
    assert [row[0] for row in mark.args[1]] == list(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name):
    loss = find_loss(name)
    real = torch.tensor([2.5, 0.4, -1.3], dtype=torch.float64, requires_grad=True)
    fake = torch.tensor([-3.1, 1.2, 0.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss.discriminator, (real, fake))
    assert torch.autograd.gradcheck(loss.generator, (fake, real.detach()))


@pytest.mark.parametrize("name", LOSSES)
def test_far_scores_stay_finite(name):
    far = torch.tensor([1e4, -1e4])
    assert find_loss(name).discriminator(far, -far).isfinite()
    assert find_loss(name).generator(far, -far).isfinite()


@pytest.mark.parametrize(
    ("name", "field"),
    [
        # d/dt of (how theta and psi change under gradient descent) by (theta, psi), at the equilibrium (0, 0).
        ("hinge", [[0.0, 1.0], [-1.0, 0.0]]),
        ("non_saturating", [[0.0, 0.5], [-0.5, 0.0]]),
        ("least_squares", [[0.0, 1.0], [0.0, 0.0]]),
        ("wasserstein", [[0.0, 1.0], [-1.0, 0.0]]),
        ("relativistic", [[0.0, 0.5], [-0.5, 0.0]]),
    ],
)
def test_dirac_gan(name, field):
    """Real data at 0, the generator's point at theta, D(x) = psi x (Mescheder et al., arXiv:1801.04406, section 2):
    f'(0) is 1/2 for the logistic losses and 1 for the linear ones; a least-squares critic gives the point no push
    back."""
    loss = find_loss(name)

    def velocity(point):
        theta, psi = point.unbind()
        real, fake = (psi * 0).reshape(1), (psi * theta).reshape(1)
        of_theta = torch.autograd.grad(loss.generator(fake, real), theta, create_graph=True)[0]
        of_psi = torch.autograd.grad(loss.discriminator(real, fake), psi, create_graph=True)[0]
        return -torch.stack([of_theta, of_psi])

    jacobian = torch.autograd.functional.jacobian(velocity, torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(jacobian, torch.tensor(field, dtype=torch.float64), rtol=0, atol=1e-12)


def test_relativistic_pairs_are_told_when_they_do_not_match():
    loss = find_loss("relativistic")
    for other in (torch.zeros(3), torch.zeros(2, 1)):
        with pytest.raises(BadInput, match=r"\(2,\).*make the generator's batch as large"):
            loss.discriminator(REAL, other)
        with pytest.raises(BadInput, match=r"\(2,\).*make the generator's batch as large"):
            loss.generator(other, REAL)


def test_unknown_name_lists_the_choices():
    with pytest.raises(BadInput, match="loss 'hinges' is not known; choose one of: hinge, non_saturating, least_sq"):
        find_loss("hinges")
