"""The strength of adaptive discriminator augmentation, which follows the discriminator's overfitting."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput

__all__ = ["Adaptation"]

#: r_t that is aimed at, and discriminator steps between adjustments
TARGET, INTERVAL = 0.6, 4


class Adaptation:
    """Probability p of each transform, raised while r_t = E[sign D(real)] is above 0.6, lowered while it is below.

    r_t is near 0 for a discriminator that does not overfit and 1 for one that knows all its images (Karras et al.,
    arXiv:2006.06676, section 3, eq. 1). p is adjusted every 4 discriminator steps, and stays from 0 to 1.

    >>> adaptation = Adaptation(kimg=0.1)  # from 0 to 1 in 100 images
    >>> for _ in range(4):
    ...     adaptation.see(torch.ones(5))  # D is sure that all are real
    ...     adaptation.advance(images=5)
    >>> adaptation.p
    0.2

    Args:
        kimg: thousands of real images in which p can go from 0 to 1.

    Attributes:
        p: from 0 to 1.
    """

    def __init__(self, kimg: float) -> None:
        self.kimg = kimg
        self.p = 0.0
        self.steps = 0  # since the last adjustment
        self.seen = 0
        self.signs: Tensor | float = 0.0

    def see(self, real_outputs: Tensor) -> None:
        """Count the discriminator's outputs for real images, augmented as for training; of any shape."""
        # It stays on the device, which the host then need not wait for.
        self.signs = self.signs + real_outputs.detach().sign().sum()
        self.seen += real_outputs.numel()

    def advance(self, images: int, mean: Callable[[Tensor], Any] = float) -> None:
        """End a discriminator step, and adjust p if it is the fourth.

        Args:
            images: real images of the step, of all processes.
            mean: takes a scalar's mean over all processes.
        """
        self.steps += 1
        if self.steps < INTERVAL:
            return
        excess = float(mean(torch.as_tensor(self.signs / max(self.seen, 1)))) - TARGET
        step = images * INTERVAL / (1000 * self.kimg)
        self.p = min(max(self.p + math.copysign(step, excess), 0.0), 1.0)
        self.steps, self.seen, self.signs = 0, 0, 0.0

    def state(self) -> dict[str, float]:
        """Return the state as plain values, for a checkpoint."""
        return {"p": self.p, "steps": self.steps, "seen": self.seen, "signs": float(self.signs)}

    def restore(self, state: Any) -> None:  # noqa: ANN401 - read from a file
        """Take what `state` has returned.

        Raises:
            BadInput: other values.
        """
        names = self.state().keys()
        numbers = isinstance(state, dict) and state.keys() == names
        if not numbers or not all(type(state[name]) in (int, float) and math.isfinite(state[name]) for name in names):
            raise BadInput(f"the checkpoint's entry ada is {state!r:.60}; expected numbers {', '.join(names)}")
        if not 0 <= state["p"] <= 1:
            raise BadInput(f"the checkpoint's entry ada has p = {state['p']}; expected a number from 0 to 1")
        self.p, self.signs = float(state["p"]), float(state["signs"])
        self.steps, self.seen = int(state["steps"]), int(state["seen"])
