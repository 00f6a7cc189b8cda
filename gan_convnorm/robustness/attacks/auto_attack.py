"""AutoAttack, by its authors' package."""

from __future__ import annotations

import contextlib
import io

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.robustness.attacks.start import Model, right_images

__all__ = ["auto_attack", "check_auto_attack"]


def check_auto_attack() -> None:
    """Check that the package is installed.

    Raises:
        BadInput: it is not.

    >>> import sys
    >>> from unittest.mock import patch
    >>> with patch.dict(sys.modules, autoattack=None):  # as where the package is missing
    ...     check_auto_attack()
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: attack 'autoattack' needs the package autoattack, which is not installed; install it
    from its authors' repository (github.com/fra31/auto-attack), or leave it out of --attacks
    """
    try:
        import autoattack  # type: ignore[import-not-found,unused-ignore] # noqa: F401
    except ImportError as error:
        raise BadInput(
            "attack 'autoattack' needs the package autoattack, which is not installed; install it from its authors' "
            "repository (github.com/fra31/auto-attack), or leave it out of --attacks"
        ) from error


def auto_attack(model: Model, images: Tensor, labels: Tensor, *, eps: float, seed: int = 0) -> Tensor:
    """Return images attacked by the standard ensemble (Croce and Hein, ICML 2020, arXiv:2003.01690), L-infinity.

    >>> import sys
    >>> from unittest.mock import patch
    >>> with patch.dict(sys.modules, autoattack=None):
    ...     auto_attack(torch.nn.Flatten(), torch.rand(2, 1, 8, 8), torch.tensor([0, 1]), eps=8 / 255)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: attack 'autoattack' needs the package autoattack, which is not installed; ...

    Args:
        model: maps images in [0, 1] to logits (B, K), in the mode that it is attacked in.
        images: floating point in [0, 1], shape (B, C, H, W).
        labels: true classes, int64, shape (B,).
        eps: radius of the ball.
        seed: the package's; it seeds torch's global generator, which is put back.

    Returns:
        Adversarial images, the same shape; an image that is misclassified from the start comes back as it was.

    Raises:
        BadInput: the package is not installed, images outside [0, 1], labels that do not fit, or a negative radius.
    """
    check_auto_attack()
    from autoattack import AutoAttack  # type: ignore[import-not-found,unused-ignore]

    right = right_images("autoattack", model, images, labels, eps)
    found = images.detach().clone()
    if not len(right):
        return found
    with torch.random.fork_rng(), torch.enable_grad(), contextlib.redirect_stdout(io.StringIO()):
        attack = AutoAttack(
            model, norm="Linf", eps=eps, seed=seed, version="standard", device=images.device, verbose=False
        )
        found[right] = attack.run_standard_evaluation(images[right], labels[right], bs=len(right)).detach().to(found)
    return found
