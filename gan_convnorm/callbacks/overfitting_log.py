"""How a discriminator tells the images that it is trained with from held-out ones."""

from __future__ import annotations

from typing import Any, Protocol, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from typing_extensions import override

from gan_convnorm.callbacks.step_count import step_of
from gan_convnorm.errors import BadInput
from gan_convnorm.operators.evaluation_mode import evaluating

__all__ = ["OverfittingLog"]

BATCH = 100


class _GAN(Protocol):
    """The parts of a GAN that are read: its discriminator, its samples, its device and dtype."""

    discriminator: nn.Module
    device: torch.device
    dtype: torch.dtype

    def sample(self, n: int, *, labels: Tensor | None, ema: bool) -> Tensor:
        """Return uint8 images of shape (n, C, H, W)."""


class OverfittingLog(pl.Callback):
    """Logs a GAN's mean discriminator outputs on training, held-out and generated images at every validation.

    Columns "d_train", "d_held_out" and "d_generated"; "held_out_accuracy", the share of held-out images with an output
    above 0, where hinge and logistic losses put the border; and "overfitting",

        r_v = (E[D(train)] - E[D(held-out)]) / (E[D(train)] - E[D(generated)]),

    which is 0 for a discriminator that does not overfit and 1 for one to which held-out images are fakes (Karras et
    al., NeurIPS 2020, arXiv:2006.06676, eq. 1).

    The images are the first ones of the data module's splits "train" and "test" in an order drawn once, and samples of
    the current generator, not of its average. Training is the same with and without it: the discriminator is in
    evaluation mode, in which no norm's state advances, and nothing is drawn from the global random state. The first
    process measures, the others wait.

    Args:
        count: images of each kind, at most as many as the smaller split has.

    Raises:
        BadInput: fewer than one image; at the start of the training, a module that is no GAN or data without splits.

    >>> OverfittingLog(500).count
    500
    """

    def __init__(self, count: int = 1000) -> None:
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise BadInput(f"the overfitting log has {count!r:.20} images of each kind; expected 1 or more")
        self.count = count

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for name in ("discriminator", "sample"):
            if not hasattr(pl_module, name):
                raise BadInput(f"the overfitting log needs a GAN; {type(pl_module).__name__} has no {name}")
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if not hasattr(data, "split"):
            raise BadInput("the overfitting log needs data with the splits train and test; give an ImageData module")

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        if trainer.is_global_zero:
            values = self.measure(trainer, cast("_GAN", pl_module))
            for logger in trainer.loggers:
                logger.log_metrics(values, step_of(trainer, pl_module))
                logger.save()
        trainer.strategy.barrier("overfitting log")

    @torch.no_grad()
    def measure(self, trainer: pl.Trainer, module: _GAN) -> dict[str, float]:
        """Return the columns by name."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        train, held_out = data.split("train"), data.split("test")
        count = min(self.count, len(train), len(held_out))
        labelled = getattr(module, "takes_labels", False)
        (real, *labels), rest = _first(train, count), _first(held_out, count)
        generated = module.sample(count, labels=labels[0] if labelled else None, ema=False)
        outputs = {}
        with evaluating(module.discriminator):
            for name, images, classes in (
                ("d_train", real, labels),
                ("d_held_out", rest[0], rest[1:]),
                ("d_generated", generated, labels),
            ):
                outputs[name] = _outputs(module, images, classes[0] if labelled else None)
        found = {name: float(values.mean()) for name, values in outputs.items()}
        distance = found["d_train"] - found["d_generated"]
        found["held_out_accuracy"] = float((outputs["d_held_out"] > 0).double().mean())
        if distance:
            found["overfitting"] = (found["d_train"] - found["d_held_out"]) / distance
        return found


def _first(split: TensorDataset, count: int) -> list[Tensor]:
    rows = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:count]
    return [tensor[rows] for tensor in split.tensors]


def _outputs(module: _GAN, images: Tensor, labels: Tensor | None) -> Tensor:
    found = []
    for first in range(0, len(images), BATCH):
        rows = slice(first, first + BATCH)
        # The middle of the interval that training draws from (`bytes_to_images`).
        pixels = ((images[rows].to(module.device) + 0.5) / 128 - 1).to(module.dtype)
        found.append(module.discriminator(pixels, None if labels is None else labels[rows].to(module.device)))
    return torch.cat(found).double().cpu()
