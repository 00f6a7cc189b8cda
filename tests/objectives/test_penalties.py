"""Penalties in closed form (linear and quadratic critics, the Dirac-GAN), and the critic normalized by its gradient."""

import pytest
import torch
from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import NORMS
from gan_convnorm.networks import NETWORKS, SNGANDiscriminator, find_networks
from gan_convnorm.objectives.gradient_normalization import gradient_normalized
from gan_convnorm.objectives.objective import Objective
from gan_convnorm.objectives.penalties import PENALTIES, find_penalty


def seeded():
    return torch.Generator().manual_seed(3)


def images(count=4, dtype=torch.float64):
    return torch.randn(count, 2, 3, 3, dtype=dtype)


def half_square(x):
    """Its gradient is the image."""
    return x.flatten(1).square().sum(dim=1) / 2


def norms(x):
    return x.flatten(1).norm(dim=1)


@pytest.mark.parametrize("name", PENALTIES)
def test_linear_critic(name):
    weight = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    real, fake = images(), images()
    penalty = find_penalty(name).function(lambda x: (x * weight).sum(dim=(1, 2, 3)) + 5, real, fake, rng=seeded())
    length = weight.detach().norm()
    # R1 = R2 = ||w||^2 and WGAN-GP = DRAGAN = (||w|| - 1)^2, with gradients 2 w and 2 (||w|| - 1) w / ||w||.
    expected, gradient = {
        True: (length**2, 2 * weight.detach()),
        False: ((length - 1) ** 2, 2 * (length - 1) * weight.detach() / length),
    }[name in ("r1", "r2")]
    torch.testing.assert_close(penalty.detach(), expected, rtol=1e-12, atol=1e-12)
    penalty.backward()
    torch.testing.assert_close(weight.grad, gradient, rtol=1e-12, atol=1e-12)


def test_r1_is_at_real_and_r2_at_fake_images():
    real, fake = images(), 2 * images()
    for name, where in (("r1", real), ("r2", fake)):
        penalty = find_penalty(name).function(half_square, real, fake, rng=seeded())
        torch.testing.assert_close(penalty, norms(where).square().mean(), rtol=1e-12, atol=1e-12)


def test_wgan_gp_is_between_real_and_fake_images():
    real, fake = images(), images()
    u = torch.rand(4, 1, 1, 1, generator=seeded()).double()
    assert u.unique().numel() == 4
    penalty = find_penalty("wgan_gp").function(half_square, real, fake, rng=seeded())
    expected = (norms(u * real + (1 - u) * fake) - 1).square().mean()
    torch.testing.assert_close(penalty, expected, rtol=1e-12, atol=1e-12)


def test_dragan_is_near_real_images():
    real, fake = images(), images()
    rng = seeded()
    delta = torch.rand(4, 2, 3, 3, generator=rng).double()
    u = torch.rand(4, 1, 1, 1, generator=rng).double()
    deviation = (real - real.mean()).square().mean().sqrt()
    penalty = find_penalty("dragan").function(half_square, real, fake, rng=seeded())
    expected = (norms(real + u * delta * deviation / 2) - 1).square().mean()
    torch.testing.assert_close(penalty, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", PENALTIES)
def test_gradients(name):
    real, fake = images(2), images(2)
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64, requires_grad=True)

    def penalize(weight):
        return find_penalty(name).function(
            lambda x: nn.functional.conv2d(x, weight, padding=1).tanh().sum(dim=(1, 2, 3)), real, fake, rng=seeded()
        )

    assert torch.autograd.gradcheck(penalize, weight)


@pytest.mark.parametrize("name", PENALTIES)
def test_flat_critic_has_finite_gradients(name):
    weight = torch.zeros(2, 3, 3, requires_grad=True)
    real = images(dtype=torch.float32)
    penalty = find_penalty(name).function(lambda x: (x * weight).sum(dim=(1, 2, 3)), real, real, rng=seeded())
    assert penalty == (0 if name in ("r1", "r2") else 1)
    penalty.backward()
    assert weight.grad.isfinite().all()


@pytest.mark.parametrize("name", PENALTIES)
def test_images_get_no_gradient_and_the_global_random_state_stays(name):
    real, fake = (images().requires_grad_() for _ in range(2))
    state = torch.get_rng_state()
    penalty = find_penalty(name).function(half_square, real, fake, rng=seeded())
    assert torch.autograd.grad(penalty, [real, fake], allow_unused=True) == (None, None)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", PENALTIES)
def test_autocast_does_not_reach_the_critic(name):
    layer = nn.Conv2d(2, 3, 3)

    def critic(x):
        response = layer(x)
        assert response.dtype == torch.float32
        return response.square().sum(dim=(1, 2, 3))

    real, fake = images(dtype=torch.float32), images(dtype=torch.float32)
    function = find_penalty(name).function
    expected = function(critic, real, fake, rng=seeded())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(function(critic, real, fake, rng=seeded()), expected)
        assert function(critic, real.bfloat16(), fake.bfloat16(), rng=seeded()).dtype == torch.float32
        mixed = function(critic, real, fake.bfloat16(), rng=seeded())
        assert torch.equal(mixed, function(critic, real, fake.bfloat16().float(), rng=seeded()))
        assert gradient_normalized(critic)(real.bfloat16()).dtype == torch.float32


def test_dirac_gan_with_r1_has_the_published_eigenvalues():
    """D(x) = psi x, real data at 0: -gamma / 2 +- sqrt(gamma^2 / 4 - f'(0)^2) (Mescheder et al., arXiv:1801.04406,
    lemma 4.1), f'(0) = 1 for the linear losses."""
    gamma = 0.6
    real = torch.zeros(1, 1, 1, 1, dtype=torch.float64)

    def velocity(point):
        theta, psi = point.unbind()
        r1 = find_penalty("r1").function(lambda x: psi * x.flatten(), real, real, rng=seeded())
        of_psi = torch.autograd.grad(psi * theta + gamma / 2 * r1, psi, create_graph=True)[0]
        of_theta = torch.autograd.grad(-psi * theta, theta, create_graph=True)[0]
        return -torch.stack([of_theta, of_psi])

    jacobian = torch.autograd.functional.jacobian(velocity, torch.zeros(2, dtype=torch.float64))
    found = torch.linalg.eigvals(jacobian)
    expected = -gamma / 2 + torch.tensor([1j, -1j], dtype=torch.complex128) * (1 - gamma**2 / 4) ** 0.5
    torch.testing.assert_close(found[found.imag.argsort(descending=True)], expected, rtol=1e-12, atol=1e-12)


def test_bad_input_is_one_line():
    with pytest.raises(BadInput, match=r"shapes \(4, 2, 3, 3\) and \(3, 2, 3, 3\)"):
        find_penalty("wgan_gp").function(half_square, images(4), images(3), rng=seeded())
    with pytest.raises(BadInput, match="penalty 'r3' is not known; choose one of: wgan_gp, r1, r2, dragan"):
        find_penalty("r3")


def test_normalized_linear_critic():
    # f = <w, x> + b: f / (||w|| + |f|), with gradient ||w|| w / (||w|| + |f|)^2 in the image.
    weight = torch.randn(2, 3, 3, dtype=torch.float64)
    x = images().requires_grad_()
    scores = gradient_normalized(lambda x: (x * weight).sum(dim=(1, 2, 3)) + 0.3)(x)
    plain = (x.detach() * weight).sum(dim=(1, 2, 3)) + 0.3
    scale = weight.norm() + plain.abs()
    torch.testing.assert_close(scores.detach(), plain / scale, rtol=1e-12, atol=1e-12)
    (gradient,) = torch.autograd.grad(scores.sum(), x)
    expected = (weight.norm() / scale**2)[:, None, None, None] * weight
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12)
    assert norms(gradient).max() <= 1


def test_normalized_quadratic_critic():
    # f = ||x||^2 / 2 and ||grad f|| = ||x||: ||x|| / (2 + ||x||).
    x = images()
    expected = norms(x) / (2 + norms(x))
    torch.testing.assert_close(gradient_normalized(half_square)(x).detach(), expected, rtol=1e-12, atol=1e-12)


def test_normalized_critic_does_not_depend_on_the_critics_scale():
    network = SNGANDiscriminator(16, 2, width=0.05, norm="none").double()
    x = torch.randn(3, 2, 16, 16, dtype=torch.float64)
    scores, larger = gradient_normalized(network)(x), gradient_normalized(lambda x: 1000 * network(x))(x)
    torch.testing.assert_close(scores, larger, rtol=1e-10, atol=1e-14)


def test_normalized_critic_has_gradients_in_parameters_and_images():
    x = images(2).requires_grad_()
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64, requires_grad=True)

    def normalized(x, weight):
        return gradient_normalized(lambda x: nn.functional.conv2d(x, weight, padding=1).tanh().sum(dim=(1, 2, 3)))(x)

    assert torch.autograd.gradcheck(normalized, (x, weight))
    # Images without gradients, as in the discriminator's step.
    assert torch.autograd.gradcheck(lambda weight: normalized(x.detach(), weight), (weight,))


def test_normalized_critic_without_gradients():
    x = images()
    with torch.no_grad():
        scores = gradient_normalized(half_square)(x)
    assert not scores.requires_grad
    assert torch.equal(scores, gradient_normalized(half_square)(x).detach())


def test_normalized_flat_critic_is_zero():
    weight = torch.zeros(2, 3, 3, requires_grad=True)
    scores = gradient_normalized(lambda x: (x * weight).sum(dim=(1, 2, 3)))(images(dtype=torch.float32))
    assert scores.tolist() == [0, 0, 0, 0]
    scores.sum().backward()
    assert weight.grad.isfinite().all()


@pytest.mark.slow
# The layer of 2021 takes no even kernel, and evaluates after training alone.
@pytest.mark.parametrize("norm", [norm for norm in NORMS if norm != "convnorm_2021"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_and_norm_has_the_second_derivatives(name, norm):
    """The penalty's gradient, and the normalized critic's, against central differences along one direction."""
    options = dict(plan={"bottom": 2, "generator": [2, 2], "discriminator": [[8, True], [8, False]]}, attention=2)
    network = find_networks(name).discriminator(4, 2, norm=norm, num_classes=3, **options).double().eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)  # away from kinks and from the attention's zero
    real, fake, labels = torch.randn(3, 2, 4, 4).double(), torch.randn(3, 2, 4, 4).double(), torch.tensor([0, 2, 1])
    parameters = [p for p in network.parameters() if p.requires_grad]
    direction = [torch.randn_like(p) for p in parameters]

    def critic(x):
        return network(x, labels)

    def value():
        penalty = find_penalty("wgan_gp").function(critic, real, fake, rng=seeded())
        return penalty + gradient_normalized(critic)(real).sum()

    gradients = torch.autograd.grad(value(), parameters, allow_unused=True)
    found = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True) if g is not None)
    values = []
    # A gradient jumps at a ReLU's kink, and one lies within 1e-6 of this network: hence steps of 1e-7.
    for step in (1e-7, -2e-7):
        with torch.no_grad():
            torch._foreach_add_(parameters, direction, alpha=step)
        values.append(value().detach())
    torch.testing.assert_close(found, (values[0] - values[1]) / 2e-7, rtol=1e-5, atol=1e-6)


def test_r2_takes_the_classes_that_the_fakes_were_made_for():
    class Conditional(nn.Module):
        """D(x, y) = (1 + y) sum x: its gradient's norm tells the class."""

        def forward(self, x, y):
            return (1 + y) * x.sum(dim=(1, 2, 3))

    real, fake = images(), images()
    labels = {"r1": torch.tensor([0, 1, 2, 3]), "r2": torch.tensor([9, 8, 7, 6])}
    for name, own in labels.items():
        sizes = []
        for weight in (0.0, 1.0):
            objective = Objective("wasserstein", name, weight)
            arguments = (Conditional(), real, fake, labels["r1"], labels["r2"], seeded())
            sizes.append(objective.discriminator_loss(*arguments))
        expected = 18 * (1 + own.double()).square().mean()  # 2 x 3 x 3 pixels
        torch.testing.assert_close(sizes[1] - sizes[0], expected, rtol=1e-12, atol=1e-12)
