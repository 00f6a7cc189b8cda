"""How a discriminator judges training, held-out and generated images."""

from __future__ import annotations

import inspect
from typing import Any, Protocol, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from typing_extensions import override

from gan_convnorm.callbacks.step_count import step_of
from gan_convnorm.errors import BadInput
from gan_convnorm.evaluation_mode import evaluating

__all__ = ["DiscriminatorLog"]

BATCH = 100


class _GAN(Protocol):
    """The parts of a GAN that are read: its discriminator, its samples, its device and dtype."""

    discriminator: nn.Module
    device: torch.device
    dtype: torch.dtype

    def sample(self, n: int, *, labels: Tensor | None, ema: bool) -> Tensor:
        """Return uint8 images of shape (n, C, H, W)."""


class DiscriminatorLog(pl.Callback):
    """Callback that logs a GAN's discriminator on training, held-out and generated images at every validation.

    | column | content |
    |---|---|
    | discriminator/train, /held_out, /generated | its mean output D on images of the kind |
    | discriminator/held_out_accuracy | share of held-out images with D > 0, the border of hinge and logistic losses |
    | discriminator/overfitting | r_v (Karras et al., NeurIPS 2020, arXiv:2006.06676, eq. 1) |
    | discriminator/image_gradient | mean over generated images of the 2-norm of dD/d(pixels), pixels in [-1, 1] |

        r_v = (E[D(train)] - E[D(held-out)]) / (E[D(train)] - E[D(generated)])

    is 0 for a discriminator that does not overfit and 1 for one to which held-out images are fakes.

    The images are the first ones of the data module's splits "train" and "test" in an order drawn once, and samples of
    the current generator, not of its average. Training is the same with and without it: the discriminator is in
    evaluation mode, in which no norm's state advances, and nothing is drawn from the global random state. The first
    process measures, the others wait.

    Args:
        count: images of each kind, at most as many as the smaller split has.

    Raises:
        BadInput: fewer than one image; at the start of the training, a module that is no GAN or data without splits.

    >>> DiscriminatorLog(500).count
    500
    """

    def __init__(self, count: int = 1000) -> None:
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise BadInput(f"the discriminator log has {count!r:.20} images of each kind; expected 1 or more")
        self.count = count

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for name in ("discriminator", "sample"):
            if not hasattr(pl_module, name):
                raise BadInput(f"the discriminator log needs a GAN; {type(pl_module).__name__} has no {name}")
        if "labels" not in inspect.signature(pl_module.sample).parameters:  # type: ignore[arg-type]
            raise BadInput(
                f"the discriminator log calls sample(n, labels=, ema=), which {type(pl_module).__name__} lacks"
            )
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if not hasattr(data, "split"):
            raise BadInput("the discriminator log needs data with the splits train and test; give an ImageData module")
        if trainer.is_global_zero and len(data.split("test").tensors) < 2 and getattr(pl_module, "takes_labels", False):
            raise BadInput(
                "the discriminator log needs the labels of the test images, which the data do not have; give them "
                "labels, or leave the log out"
            )

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        if trainer.is_global_zero:
            values = self.measure(trainer, cast("_GAN", pl_module))
            for logger in trainer.loggers:
                logger.log_metrics(values, step_of(trainer, pl_module))
                logger.save()
        trainer.strategy.barrier("discriminator log")

    @torch.no_grad()
    def measure(self, trainer: pl.Trainer, module: _GAN) -> dict[str, float]:
        """Return the columns by name."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        train, held_out = data.split("train"), data.split("test")
        count = min(self.count, len(train), len(held_out))
        labelled = getattr(module, "takes_labels", False)
        (real, *labels), rest = _first(train, count), _first(held_out, count)
        devices = [module.device] if module.device.type == "cuda" else []
        with torch.random.fork_rng(devices):  # a GAN may draw from the global random state, which the training uses
            generated = module.sample(count, labels=labels[0] if labelled else None, ema=False)
        kinds = {"train": (real, labels), "held_out": (rest[0], rest[1:]), "generated": (generated, labels)}
        with evaluating(module.discriminator):
            judged = {
                kind: _judge(module, images, classes[0] if labelled else None, with_gradient=kind == "generated")
                for kind, (images, classes) in kinds.items()
            }
        found = {kind: float(outputs.mean()) for kind, (outputs, _) in judged.items()}
        distance = found["train"] - found["generated"]
        found["held_out_accuracy"] = float((judged["held_out"][0] > 0).double().mean())
        found["image_gradient"] = float(judged["generated"][1].mean())
        if distance:
            found["overfitting"] = (found["train"] - found["held_out"]) / distance
        return {f"discriminator/{name}": value for name, value in found.items()}


def _first(split: TensorDataset, count: int) -> list[Tensor]:
    rows = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:count]
    return [tensor[rows] for tensor in split.tensors]


def _judge(module: _GAN, images: Tensor, labels: Tensor | None, *, with_gradient: bool) -> tuple[Tensor, Tensor]:
    """Return the outputs, and the 2-norms of their gradients with respect to the pixels, as float64 on the CPU."""
    outputs, norms = [], [torch.zeros(0)]
    for first in range(0, len(images), BATCH):
        rows = slice(first, first + BATCH)
        # The middle of the interval that training draws from (`bytes_to_images`).
        pixels = ((images[rows].to(module.device) + 0.5) / 128 - 1).to(module.dtype)
        with torch.set_grad_enabled(with_gradient):
            pixels.requires_grad_(with_gradient)
            found = module.discriminator(pixels, None if labels is None else labels[rows].to(module.device))
            if with_gradient:
                norms.append(torch.autograd.grad(found.sum(), pixels)[0].flatten(1).norm(dim=1))
        outputs.append(found.detach())
    return torch.cat(outputs).double().cpu(), torch.cat(norms).double().cpu()
