"""AutoAttack, by its authors' package."""

from __future__ import annotations

import contextlib
import io

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.robustness.attacks.gradient import Model

__all__ = ["auto_attack"]


def auto_attack(model: Model, images: Tensor, labels: Tensor, *, eps: float, seed: int = 0) -> Tensor:
    """The standard ensemble in the L-infinity ball (Croce and Hein, ICML 2020, arXiv:2003.01690).

    Args:
        model: maps images in [0, 1] to logits (B, K), in the mode that it is attacked in.
        images: floating point in [0, 1], shape (B, C, H, W).
        labels: true classes, int64, shape (B,).
        eps: radius of the ball.
        seed: the package's; it seeds torch's global generator, which is put back.

    Returns:
        Adversarial images, the same shape.

    Raises:
        BadInput: the package is not installed.
    """
    try:
        from autoattack import AutoAttack  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise BadInput(
            "attack 'autoattack' needs the package autoattack, which is not installed; install it from its authors' "
            "repository (github.com/fra31/auto-attack), or leave it out of --attacks"
        ) from error
    with torch.random.fork_rng(), torch.enable_grad(), contextlib.redirect_stdout(io.StringIO()):
        attack = AutoAttack(
            model, norm="Linf", eps=eps, seed=seed, version="standard", device=images.device, verbose=False
        )
        return attack.run_standard_evaluation(images, labels, bs=len(images))
