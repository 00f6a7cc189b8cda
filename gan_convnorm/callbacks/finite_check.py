"""Stop the run when a loss or weight becomes NaN or infinite."""

from __future__ import annotations

from collections.abc import Mapping

import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override

from gan_convnorm.callbacks.step_count import step_of, step_word
from gan_convnorm.errors import NOT_FINITE, RunStopped

__all__ = ["FiniteCheck"]


class FiniteCheck(pl.Callback):
    """Callback that ends the run at the first step after which a loss or a weight is NaN or infinite, and names it.

    It works in any LightningModule: losses are the tensors that `training_step` returns, by name or one alone. On a CPU
    every step is looked at. On other devices a look would wait for the device: there the step is noted on the device,
    and read when losses are logged, before a validation and at the end of an epoch, so that no checkpoint is saved
    after it.

    >>> from gan_convnorm.callbacks import FiniteCheck
    >>> FiniteCheck().bad_step is None
    True

    Raises:
        RunStopped: from the hooks.
    """

    def __init__(self) -> None:
        #: the first bad step of the losses, and of the weights
        self.bad_step: Tensor | None = None
        self.losses: dict[str, Tensor] = {}

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.bad_step = torch.zeros(2, dtype=torch.int64, device=pl_module.device)

    @override
    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        assert self.bad_step is not None
        self.losses = _losses(outputs)
        # A norm is NaN or infinite as soon as one entry is, and, rarely, when large finite entries overflow it.
        trained: list[Tensor] = [p for p in pl_module.parameters() if p.requires_grad]
        norms = torch._foreach_norm(trained) if trained else ()
        bad = [
            ~torch.stack([value.float().reshape(()).to(self.bad_step.device) for value in each]).isfinite().all()
            for each in (self.losses.values(), norms)
            if each
        ]
        if not bad:
            return
        bad = bad if self.losses else [torch.zeros_like(bad[0]), *bad]
        step = max(1, step_of(trainer, pl_module))  # 0 stands for none
        self.bad_step.copy_(torch.where(torch.stack(bad) & (self.bad_step == 0), step, self.bad_step))
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if pl_module.device.type == "cpu" or trainer.should_stop or (every and step % every == 0):
            self._look(pl_module)

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._look(pl_module)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._look(pl_module)

    def _look(self, module: pl.LightningModule) -> None:
        if self.bad_step is None:
            return
        of_losses, of_weights = self.bad_step.tolist()
        if not of_losses and not of_weights:
            return
        bad = [name for name, loss in self.losses.items() if not loss.isfinite()]
        bad += [name for name, value in module.named_parameters() if not value.isfinite().all()]
        if not bad and not of_losses:
            self.bad_step.zero_()  # it was the norm alone
            return
        step = min(each for each in (of_losses, of_weights) if each)
        names = (", ".join(bad[:3]) or "a loss") + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
        raise RunStopped(
            f"at {step_word(module)} {step} {names} became NaN or infinite; checkpoints, if any, are of steps before "
            "it. --detect-anomaly (the trainer's detect_anomaly) names the operation; a lower learning rate, or "
            "float32 in place of a half precision, may help",
            NOT_FINITE,
        )


def _losses(outputs: object) -> dict[str, Tensor]:
    """Return the losses that a training step returned, scalars by name."""
    named = outputs if isinstance(outputs, Mapping) else {"loss": outputs}
    return {name: value for name, value in named.items() if isinstance(value, Tensor) and value.numel() == 1}
