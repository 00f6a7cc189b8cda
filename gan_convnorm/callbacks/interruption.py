"""Response to Ctrl-C, SIGTERM and other signals: finish the step, save the run, and say how to go on."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.callbacks import Checkpoint
from typing_extensions import override

from gan_convnorm.callbacks.stop_signals import listen, reason
from gan_convnorm.errors import RunStopped
from gan_convnorm.run_folder import requeue_in_words, slurm_job

__all__ = ["Interruption"]

#: with several processes they agree whether to stop every so many steps
AGREE_EVERY = 10


class Interruption(Checkpoint):  # so that Lightning calls it after those that save
    """Callback that saves before every evaluation, and saves and ends the run at the end of a step with a signal.

    Lightning's own handler may save between the discriminator's step and the generator's, and a run resumed from there
    differs from an uninterrupted one. A second signal ends the process at once.

    An evaluation may fail, or be killed; the weights are on disk by then. A run that is resumed from there evaluates
    first, also after the last step, and then goes on as if nothing had happened.

    In a SLURM job SIGUSR1, which `sbatch --signal=USR1@90` sends before the time is over, also asks SLURM to start
    the job again.

    >>> from types import SimpleNamespace
    >>> interruption = Interruption(Path("run/last.ckpt"))
    >>> interruption.received = signal.SIGTERM  # as on_train_start's handler of signals does
    >>> interruption.check(SimpleNamespace(lightning_module=SimpleNamespace(g_step=40)))
    Traceback (most recent call last):
    gan_convnorm.errors.RunStopped: stopped by SIGTERM, saved at G step 40, before its evaluation; go on with: ...

    Args:
        checkpoint: the file to save.

    Raises:
        RunStopped: from the hooks, after a signal.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.received: signal.Signals | None = None
        self.restore: Callable[[], None] = lambda: None

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # In place of Lightning's own handlers, which talk to the other processes from within the handler: in the middle
        # of another collective call that is a deadlock.
        self.restore = listen(self._receive)
        module: Any = pl_module
        evaluation = trainer.fit_loop.epoch_loop.val_loop
        if not evaluation.restarted_mid_evaluation:
            return
        evaluation.batch_progress.total.reset_on_restart()  # the batch that will start again counts once
        if module.g_step >= module.steps:
            # No step is left, after which Lightning would evaluate.
            trainer.validating = True
            evaluation.run()
            trainer.training = True

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.restore()

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.restore()

    def _receive(self, number: signal.Signals) -> None:
        self.received = number

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        module: Any = pl_module
        if trainer.should_stop or module.g_step % trainer.val_check_interval == 0:
            return  # an evaluation and its checkpoint follow
        received = self._agreed(trainer, module.g_step)
        if received is not None:
            trainer.save_checkpoint(self.checkpoint)
            self._stop(trainer, received, f"saved at G step {module.g_step}")

    @override
    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        # A batch that has started is what tells a resumed trainer that the evaluation is not done.
        progress: Any = trainer.fit_loop.epoch_loop.val_loop.batch_progress
        for count in (progress.total, progress.current):
            count.started += 1
        try:
            trainer.save_checkpoint(self.checkpoint)
        finally:
            for count in (progress.total, progress.current):
                count.started -= 1

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module: Any = pl_module
        received = self._agreed(trainer, 0)
        if received is not None and not trainer.should_stop:
            self._stop(trainer, received, f"saved at G step {module.g_step}")

    def check(self, trainer: pl.Trainer) -> None:
        """End the run, which is saved already; long evaluations call this now and then, on one process or on all."""
        if self.received is not None:
            module: Any = trainer.lightning_module
            self._stop(trainer, self.received, f"saved at G step {module.g_step}, before its evaluation")

    def _agreed(self, trainer: pl.Trainer, step: int) -> signal.Signals | None:
        if trainer.world_size == 1:
            return self.received
        if step % AGREE_EVERY:
            return None
        received = torch.tensor(self.received or 0, device=trainer.strategy.root_device)
        dist.all_reduce(received, dist.ReduceOp.MAX)
        return signal.Signals(int(received)) if received else None

    def _stop(self, trainer: pl.Trainer, received: signal.Signals, what: str) -> None:
        then = f"go on with: python train_gan.py --resume {shlex.quote(str(self.checkpoint))}"
        if slurm_job() is not None and received.name == "SIGUSR1" and trainer.is_global_zero:
            granted, words = requeue_in_words()
            then = f"{words}, which goes on from {self.checkpoint}" if granted else f"{words}; {then}"
        raise RunStopped(f"stopped {reason(received)}, {what}; {then}", 128 + received)
