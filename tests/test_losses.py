"""Losses against values computed by hand."""

import torch

from gan_convnorm.losses import hinge_discriminator, hinge_generator


def test_hinge_discriminator():
    # Real: max(0, 1 - 2) = 0 and max(0, 1 - 0.5) = 0.5; fake: max(0, 1 - 3) = 0 and max(0, 1 + 1) = 2.
    assert hinge_discriminator(torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])) == 0.25 + 1.0


def test_hinge_discriminator_has_no_gradient_beyond_the_margin():
    real = torch.tensor([2.0, 0.5], requires_grad=True)
    hinge_discriminator(real, torch.tensor([-3.0])).backward()
    assert real.grad.tolist() == [0.0, -0.5]


def test_hinge_generator():
    assert hinge_generator(torch.tensor([1.0, -4.0])) == 1.5
