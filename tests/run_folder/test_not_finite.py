"""Weights that become NaN or infinite end the run at their step."""

from pathlib import Path

import pytest
import torch
from whole_runs import WORDS

from gan_convnorm.cli import main
from gan_convnorm.errors import NOT_FINITE
from gan_convnorm.run_folder import read_checkpoint

pytestmark = pytest.mark.usefixtures("working_folder")


@pytest.mark.slow
def test_non_finite_weights_end_the_run_at_their_step(capsys):
    with pytest.raises(SystemExit) as stop:
        main([*WORDS, "--steps", "200", "--disc-norm", "none", "--model.optimization.disc_lr", "1e30", "--out", "run"])
    assert stop.value.code == NOT_FINITE == 3
    err = capsys.readouterr().err.splitlines()[-1]
    assert (
        err.startswith("error: at G step ")
        and "became NaN or infinite; checkpoints, if any, are of steps before it" in err
    )
    assert "d_loss" in err or "discriminator." in err


@pytest.mark.slow
def test_the_layer_that_is_not_finite_is_named(monkeypatch, capsys):
    from gan_convnorm.gan import GAN

    step = GAN.training_step

    def poisoned(self, *args):
        losses = step(self, *args)
        if self.g_step == 6:
            with torch.no_grad():
                self.discriminator.blocks[1].conv2.bias[0] = float("inf")
        return losses

    monkeypatch.setattr(GAN, "training_step", poisoned)
    with pytest.raises(SystemExit):
        main([*WORDS, "--out", "run"])
    assert "at G step 6 discriminator.blocks.1.conv2.bias became NaN or infinite" in capsys.readouterr().err
    assert read_checkpoint(Path("run/last.ckpt"))["g_step"] == 4
