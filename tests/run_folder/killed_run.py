"""A run that kills itself at a moment.

A moment is one of the G step with that number: `step`, between the discriminator's two steps; `write`, when half of
last.ckpt is on the disk; `evaluation`, when its scores are computed and not yet saved.
"""

import os
import signal
from pathlib import Path

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from gan_convnorm import cli, fidelity
from gan_convnorm.gan import GAN


class Killer:
    """Follows the run by public calls alone, and kills the process at its moment."""

    def __init__(self, moment, step):
        self.moment, self.step = moment, step
        self.current = self.optimizer_steps = 0
        self.training_step, self.save, self.score = GAN.training_step, torch.save, fidelity.Evaluator.__call__

    def install(self):
        killer = self

        def training_step(gan, *args):
            killer.current, killer.optimizer_steps = gan.g_step + 1, 0
            return killer.training_step(gan, *args)

        def validation_starts(gan):  # a resumed run may evaluate before its first step
            killer.current = gan.g_step

        def score(evaluator, *args):
            scores = killer.score(evaluator, *args)
            killer.die("evaluation")
            return scores

        GAN.training_step, GAN.on_validation_epoch_start = training_step, validation_starts
        fidelity.Evaluator.__call__ = score
        torch.save = self.half_saved
        register_optimizer_step_pre_hook(self.before_optimizer_step)

    def before_optimizer_step(self, *_):
        self.optimizer_steps += 1
        if self.optimizer_steps == 2:
            self.die("step")

    def half_saved(self, content, path):
        self.save(content, path)
        if self.moment == "write" and self.current == self.step and "last" in str(path):
            os.truncate(path, Path(path).stat().st_size // 2)
            self.die("write")

    def die(self, moment):
        if moment == self.moment and self.current == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def killed_run(moment, step, words):
    """Run the program with the words of a command line until the moment of the G step with that number."""
    torch.set_num_threads(1)
    Killer(moment, step).install()
    cli.main(words)
