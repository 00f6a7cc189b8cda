"""Ctrl-C and SIGTERM: the step is finished, the run saved, and the way to go on is told."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.callbacks import Checkpoint

from gan_convnorm.errors import RunStopped

__all__ = ["Interruption"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: with several processes they agree whether to stop every so many steps
AGREE_EVERY = 10


class Interruption(Checkpoint):  # so that Lightning calls it after those that save
    """Saves `checkpoint` at the end of the step in which a signal comes, and ends the run.

    Lightning stops wherever the signal finds it, between the discriminator's step and the generator's too, and what is
    saved then is no step of the uninterrupted run. A second signal ends the process at once. During an evaluation the
    run ends without saving: it goes on from the checkpoint before, and evaluates again.

    Args:
        checkpoint: the file to save.

    Raises:
        RunStopped: from the hooks, after a signal.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.received: signal.Signals | None = None
        self.handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # In place of Lightning's own, which talk to the other processes from within the handler: in the middle of
        # another collective call that is a deadlock.
        try:
            self.handlers = {number: signal.signal(number, self._receive) for number in SIGNALS}
        except ValueError:  # not the main thread, which alone may set handlers
            self.handlers = {}

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}

    def _receive(self, number: int, frame: Any) -> None:
        self.received = signal.Signals(number)
        signal.signal(number, signal.SIG_DFL)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        module: Any = pl_module
        if trainer.should_stop or module.g_step % trainer.val_check_interval == 0:
            return  # an evaluation and its checkpoint follow
        received = self._agreed(trainer, module.g_step)
        if received is not None:
            trainer.save_checkpoint(self.checkpoint)
            self._stop(received, f"saved at G step {module.g_step}")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module: Any = pl_module
        received = self._agreed(trainer, 0)
        if received is not None and not trainer.should_stop:
            self._stop(received, f"saved at G step {module.g_step}")

    def check(self) -> None:
        """For what takes long within a step, on one process or on all: ends the run without saving."""
        if self.received is not None:
            self._stop(self.received, "in an evaluation")

    def _agreed(self, trainer: pl.Trainer, step: int) -> signal.Signals | None:
        if trainer.world_size == 1:
            return self.received
        if step % AGREE_EVERY:
            return None
        received = torch.tensor(self.received or 0, device=trainer.strategy.root_device)
        dist.all_reduce(received, dist.ReduceOp.MAX)
        return signal.Signals(int(received)) if received else None

    def _stop(self, received: signal.Signals, what: str) -> None:
        raise RunStopped(
            f"stopped by {received.name}, {what}; go on with: python train_gan.py --resume {self.checkpoint}",
            128 + received,
        )
