"""Half precision and compilation give the same training; what must stay in float32 does."""

from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from short_training import fit

from gan_convnorm.callbacks import FiniteCheck
from gan_convnorm.errors import RunStopped

STEPS = 20


class Losses(pl.Callback):
    def __init__(self):
        self.rows = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.rows.append([outputs["d_loss"], outputs["g_loss"]])


def train(precision="32-true", callbacks=(), **options):
    losses = Losses()
    options = {"steps": STEPS, "gen_lr": 5e-4, "disc_lr": 5e-4, **options}
    gan, _ = fit(losses, *callbacks, precision=precision, **options)
    return gan, torch.tensor(losses.rows)


@pytest.fixture
def traced(monkeypatch):
    """Compiled as `GAN` compiles, without the minutes that code generation takes."""
    compile_module = torch.nn.Module.compile
    compiled = []

    def compile_traced(module):
        compiled.append(type(module).__name__)
        compile_module(module, backend="aot_eager")

    monkeypatch.setattr(torch.nn.Module, "compile", compile_traced)
    return compiled


@pytest.mark.slow
@pytest.mark.parametrize("disc_norm", ["spectral", "convnorm"])
def test_loss_curves_of_bf16(disc_norm):
    _, exact = train(disc_norm=disc_norm)
    half, rounded = train("bf16-mixed", disc_norm=disc_norm)
    difference = (rounded - exact).abs()
    # Mean over the steps of losses between -2 and 4; bfloat16 has 8 bits.
    assert 1e-4 < difference.mean() < 0.05
    assert difference.max() < 0.4
    assert all(value.dtype in (torch.float32, torch.int64) for value in half.state_dict().values())


# The penalty's own graph is not compiled, and the networks' graphs are the same with it: one compilation shows both.
@pytest.mark.slow
def test_loss_curves_of_compiled_networks(traced):
    gan, exact = train(disc_norm="convnorm", penalty="wgan_gp")
    assert not traced
    compiled, curve = train(disc_norm="convnorm", penalty="wgan_gp", compile_networks=True)
    assert sorted(traced) == ["SNGANDiscriminator", "SNGANGenerator"]
    difference = (curve - exact).abs()
    assert difference[:3].max() < 1e-3 and difference.max() < 0.05
    assert list(compiled.state_dict()) == list(gan.state_dict())


@pytest.mark.parametrize("penalty", [None, "r1"])
def test_bf16_loss_and_penalty_are_float32(penalty, monkeypatch):
    from gan_convnorm.objectives.objective import Objective

    seen = []
    loss = Objective.discriminator_loss

    def watched(self, *args):
        found = loss(self, *args)
        seen.append(found.dtype)
        return found

    monkeypatch.setattr(Objective, "discriminator_loss", watched)
    train("bf16-mixed", steps=2, penalty=penalty)
    assert set(seen) == {torch.float32}


def test_a_run_that_is_not_finite_stops_in_python_too():
    with pytest.raises(RunStopped, match=r"at G step \d+ .* became NaN or infinite"):
        train(callbacks=[FiniteCheck()], disc_norm="none", disc_lr=1e30)


def test_weights_that_are_large_and_finite_do_not_stop_a_run():
    """The square of 1e30 is infinite in float32."""
    module = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(module.weight, 1e30)
    module.g_step, module.device = 5, torch.device("cpu")
    trainer = SimpleNamespace(log_every_n_steps=50, val_check_interval=500, should_stop=False)
    check = FiniteCheck()
    check.on_train_start(trainer, module)
    check.on_train_batch_end(trainer, module, {"d_loss": torch.ones(())}, None, 0)
    module.weight.data[0, 0] = float("nan")
    with pytest.raises(RunStopped, match="at G step 5 weight became NaN"):
        check.on_train_batch_end(trainer, module, {"d_loss": torch.ones(())}, None, 0)
