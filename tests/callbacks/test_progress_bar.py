"""The log of a run whose standard output is no terminal."""

import re
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from short_training import small_gan

from gan_convnorm.callbacks import StepProgressBar, progress
from gan_convnorm.data import Digits

LINE = re.compile(r"G step (\d+) of \d+, D loss -?\d+\.\d{3}, G loss -?\d+\.\d{3}, about (\d+) s left")


class Clock(pl.Callback):
    """Time that passes in steps alone, four seconds each."""

    now = 1000.0

    def on_train_batch_start(self, *args):
        self.now += 4


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def fit(clock, bar, steps):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False, "limit_val_batches": 0}
    trainer = pl.Trainer(max_epochs=-1, accelerator="cpu", callbacks=[clock, bar], **quiet)
    trainer.fit(small_gan(steps=steps), Digits(batch_size=8))


def test_a_piped_run_prints_a_plain_line_now_and_then(clock, capsys):
    fit(clock, StepProgressBar(), steps=12)
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("G step")]
    # The first after 10 seconds, the next 30 seconds later; (step, seconds left), at four seconds a step.
    assert [LINE.fullmatch(line).groups() for line in lines] == [("3", "36"), ("11", "4")]
    assert "\r" not in out and "\x1b" not in out and all(len(line) <= 80 for line in lines)


def test_the_losses_that_are_shown_are_smoothed():
    bar = StepProgressBar()
    losses = [2.0, -1.0, 4.0, 0.5, 3.0, 1.0, 7.0]
    smoothed, shown = losses[0], None
    for number, loss in enumerate(losses):
        bar._smooth({"d_loss": torch.tensor(loss), "other": torch.tensor(9.0)}, number)
        smoothed = smoothed + (loss - smoothed) / 20
        shown = smoothed if number in (0, 5) else shown  # a reading waits for the accelerator, so not at each step
        assert bar.shown == {"D": pytest.approx(shown)}
