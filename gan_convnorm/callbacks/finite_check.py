"""Stop the run when a loss or weight becomes NaN or infinite."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override

from gan_convnorm.errors import NOT_FINITE, RunStopped

__all__ = ["FiniteCheck"]


class FiniteCheck(pl.Callback):
    """Ends the run at the first step after which a loss or a weight is NaN or infinite, and names it.

    On a CPU every step is looked at. On other devices a look would wait for the device: there the step is noted on the
    device, and read when losses are logged and before an evaluation, so that no checkpoint is saved after it.

    Raises:
        RunStopped: from the hooks.
    """

    def __init__(self) -> None:
        #: the first bad step of the losses, and of the weights
        self.bad_step: Tensor | None = None

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.bad_step = torch.zeros(2, dtype=torch.int64, device=pl_module.device)

    @override
    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        module: Any = pl_module
        named: Any = outputs  # losses by name
        assert self.bad_step is not None
        # A norm is NaN or infinite as soon as one entry is, and, rarely, when large finite entries overflow it.
        norms = torch._foreach_norm([p for p in module.parameters() if p.requires_grad])
        losses = [loss.float() for loss in named.values()]
        bad = torch.stack([~torch.stack(each).isfinite().all() for each in (losses, norms)])
        step, every = module.g_step, trainer.log_every_n_steps  # type: ignore[attr-defined]
        self.bad_step.copy_(torch.where(bad & (self.bad_step == 0), step, self.bad_step))
        evaluates = trainer.should_stop or step % trainer.val_check_interval == 0
        if module.device.type == "cpu" or evaluates or step % every == 0:
            self._look(pl_module, named)

    def _look(self, module: pl.LightningModule, losses: dict[str, Tensor]) -> None:
        assert self.bad_step is not None
        of_losses, of_weights = self.bad_step.tolist()
        if not of_losses and not of_weights:
            return
        bad = [name for name, loss in losses.items() if not loss.isfinite()]
        bad += [name for name, value in module.named_parameters() if not value.isfinite().all()]
        if not bad and not of_losses:
            self.bad_step.zero_()  # it was the norm alone
            return
        step = min(each for each in (of_losses, of_weights) if each)
        raise RunStopped(
            f"at G step {step} {', '.join(bad[:3]) or 'a loss'}{f' and {len(bad) - 3} more' if len(bad) > 3 else ''} "
            "became NaN or infinite; the checkpoints are of steps before it. --detect-anomaly names the operation; a "
            "lower learning rate, or float32 in place of a half precision, may help",
            NOT_FINITE,
        )
