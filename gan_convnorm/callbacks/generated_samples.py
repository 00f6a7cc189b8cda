"""Samples of any LightningModule, as bytes, by image number."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.evaluation_mode import evaluating
from gan_convnorm.images.value_range import ValueRange, as_bytes
from gan_convnorm.random_streams import random_for

__all__ = ["RANGES", "SampleFunction", "check_range", "has_two_weights", "image_bytes", "sampler", "takes_first"]

#: from (module, n), or from (module, first, n), to images FIRST to FIRST + n - 1
SampleFunction = Callable[..., Tensor]
RANGES: tuple[ValueRange, ...] = ((0, 1), (-1, 1))


def check_range(value_range: ValueRange | None) -> None:
    """Raise unless a range of floating-point images is None, (0, 1) or (-1, 1).

    >>> check_range((0, 255))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: value_range is (0, 255); expected (0, 1), (-1, 1), or None for uint8 images

    Raises:
        BadInput: any other range.
    """
    if value_range is not None and tuple(value_range) not in RANGES:
        raise BadInput(f"value_range is {value_range!r:.60}; expected (0, 1), (-1, 1), or None for uint8 images")


def image_bytes(images: object, value_range: ValueRange | None, name: str, *, samples: bool) -> Tensor:
    """Return a batch of images as `as_bytes` does, on the CPU.

    >>> image_bytes(torch.tensor([[[[0.0, 0.5, 1.0]]]]), (0, 1), "samples", samples=True)
    tensor([[[[  0, 128, 255]]]], dtype=torch.uint8)

    Raises:
        BadInput: as `as_bytes`, and an object that is no tensor of shape (N, C, H, W).
    """
    if not isinstance(images, Tensor) or images.dim() != 4:
        found = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise BadInput(f"{name} are {found}; expected a tensor of shape (N, C, H, W)")
    return as_bytes(images, value_range, name, samples=samples).cpu()


def has_two_weights(module: pl.LightningModule, sample: SampleFunction | None) -> bool:
    """Return True if a module's own `sample` takes `ema`, and so has averaged and current weights.

    >>> gan, plain = pl.LightningModule(), pl.LightningModule()
    >>> gan.sample = lambda n, *, ema=True: torch.zeros(n, 1, 8, 8)
    >>> has_two_weights(gan, None), has_two_weights(plain, None)
    (True, False)
    """
    return sample is None and "ema" in _parameters(getattr(module, "sample", None))


def takes_first(module: pl.LightningModule, sample: SampleFunction | None) -> bool:
    """Return True if the function that samples is told the number of the first image.

    >>> takes_first(pl.LightningModule(), lambda module, n: None)
    False
    """
    return _call(module, sample, ema=True)[1]


def sampler(
    module: pl.LightningModule,
    sample: SampleFunction | None,
    value_range: ValueRange | None,
    *,
    ema: bool = True,
    seed: int = 0,
) -> Callable[[int, int], Tensor]:
    """Return a function from (first, n) to the uint8 images of these numbers, on the CPU.

    It samples in evaluation mode without gradients. A sample function that is not told the number of the first image
    draws from torch's global random state. That state is seeded by `seed` and the number for the call, and put back
    afterwards. So the training draws the same numbers with and without it, and several processes make different images.

    >>> module = pl.LightningModule()
    >>> generate = sampler(module, lambda module, n: torch.rand(n, 1, 8, 8), (0, 1))
    >>> generate(4, 2).shape, bool((generate(4, 2) == generate(4, 2)).all())
    (torch.Size([2, 1, 8, 8]), True)

    Args:
        module: any module.
        sample: a function of (module, n) or of (module, first, n); the module's `sample(n)` when None, which may also
            take `first` and `ema`.
        value_range: of floating-point samples, see `as_bytes`.
        ema: for a `sample` that takes it.
        seed: of a sample function that does not take `first`.

    Raises:
        BadInput: a module without `sample` where no function is given, or a function of other arguments.
    """
    call, numbered = _call(module, sample, ema)

    @torch.no_grad()
    def generate(first: int, n: int) -> Tensor:
        devices = [module.device] if module.device.type == "cuda" else []
        with evaluating(module), torch.random.fork_rng(devices):
            if not numbered:
                torch.manual_seed(random_for("samples", seed, first).initial_seed())
            images = image_bytes(call(first, n), value_range, "samples", samples=True)
        if len(images) != n:
            raise BadInput(f"{n} samples were asked for, and {len(images)} came; sample must return as many as asked")
        return images

    return generate


def _call(
    module: pl.LightningModule, sample: SampleFunction | None, ema: bool
) -> tuple[Callable[[int, int], Tensor], bool]:
    """Return a function of (first, n), and whether the images depend on these numbers alone."""
    if sample is not None:
        variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        needed = [p for p in _parameters(sample).values() if p.default is p.empty and p.kind not in variable]
        count = len(needed)
        if count not in (2, 3):
            raise BadInput(f"sample takes {count} arguments; expected a function of (module, n) or (module, first, n)")
        if count == 3:
            return lambda first, n: sample(module, first, n), True
        return lambda first, n: sample(module, n), False
    own: Any = getattr(module, "sample", None)
    if not callable(own):
        raise BadInput(
            f"{type(module).__name__} has no method sample(n); write one that returns n images, or give "
            "sample=function of (module, n)"
        )
    names = _parameters(own)
    options = {"ema": ema} if "ema" in names else {}
    if "first" in names:
        return lambda first, n: own(n, first=first, **options), True
    return lambda first, n: own(n, **options), False


def _parameters(function: Any) -> dict[str, inspect.Parameter]:  # noqa: ANN401
    if not callable(function):
        return {}
    return dict(inspect.signature(function).parameters)
