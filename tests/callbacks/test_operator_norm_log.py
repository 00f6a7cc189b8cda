"""The operator norm log: what it writes, and that it changes nothing."""

import json
import shutil
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from dense_layers import convolution_matrix
from short_training import logged_rows, logging_trainer, small_gan
from torch import nn

from gan_convnorm.callbacks import OperatorNormLog
from gan_convnorm.data import Digits
from gan_convnorm.errors import BadInput
from gan_convnorm.operators import circular_size, singular_values


class Save(pl.Callback):
    """A checkpoint in the middle, as an evaluation saves one."""

    def __init__(self, path):
        self.path = path

    def on_validation_end(self, trainer, pl_module):
        if pl_module.g_step == 4:
            trainer.save_checkpoint(self.path)


def train(folder, steps=5, *, log=True, norm="spectral", resume=None, **options):
    folder.mkdir(exist_ok=True)
    pl.seed_everything(0)
    model = small_gan(disc_norm=norm, steps=steps, n_dis=2, **options)
    callback = OperatorNormLog(folder, every=2)
    callbacks = [callback, Save(folder / "half.ckpt")] if log else []
    trainer = logging_trainer(folder, callbacks, validate_every=4)
    trainer.fit(model, datamodule=Digits(batch_size=4), ckpt_path=resume)
    return model, callback


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of five steps with the log and its twin without, of every kind of norm."""
    folder = tmp_path_factory.mktemp("runs")
    found = {}
    for norm in ("spectral", "convnorm"):
        found[norm] = []
        for log in (True, False):
            model, _ = train(folder / f"{norm}-{log}", norm=norm, log=log)
            found[norm].append((folder / f"{norm}-{log}", model, torch.random.get_rng_state()))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["spectral", "convnorm"])
def test_training_is_bit_identical_with_and_without(runs, norm):
    (_, with_log, state), (_, without, other_state) = runs[norm]
    assert torch.equal(state, other_state)  # nothing is drawn from the global random state
    one, two = with_log.state_dict(), without.state_dict()
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in with_log.discriminator.modules())


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["spectral", "convnorm"])
def test_columns_and_files(runs, norm):
    folder, model, _ = runs[norm][0]
    found = logged_rows(folder)
    assert [step for step, row in found.items() if row["layers/linear/operator_norm"]] == [0, 2, 4, 5]
    assert found[3]["d_loss"] and not found[0]["d_loss"]  # one row a step, the log's among the others'
    layers = [name for name, m in model.discriminator.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    columns = {f"layers/{name}/{kind}" for name in layers for kind in ("operator_norm", "condition_number")}
    assert columns == {column for column in found[0] if column.startswith("layers/")}
    assert (folder / "operator_norms.png").read_bytes()[:4] == b"\x89PNG"
    found_values = json.loads((folder / "singular_values.json").read_text())["layers"]
    assert list(found_values) == layers
    conv = model.discriminator.get_submodule("blocks.0.conv2").eval()
    values = singular_values(conv, circular_size(conv, (16, 16), 8))
    assert found_values["blocks.0.conv2"]["after"][0] == pytest.approx(float(values[0]), rel=1e-4)
    assert found_values["blocks.0.conv2"]["after"][-1] == pytest.approx(float(values[-1]), rel=1e-3)
    assert found_values["blocks.0.conv2"]["before"] != found_values["blocks.0.conv2"]["after"]


@pytest.mark.slow
def test_the_last_row_is_of_the_final_weights(runs):
    folder, model, _ = runs["spectral"][0]
    sizes = {"blocks.0.conv1": 16, "blocks.0.conv2": 16, "blocks.1.conv1": 8, "blocks.3.conv2": 4}
    for name, size in sizes.items():
        weight = model.discriminator.eval().get_submodule(name).weight.detach()
        matrix = convolution_matrix(weight, (size, size), (1, 1), [(1, 1)] * 2, (1, 1))
        true = float(torch.linalg.matrix_norm(matrix, 2))
        assert float(logged_rows(folder)[5][f"layers/{name}/operator_norm"]) == pytest.approx(true, rel=1e-2), name


@pytest.mark.slow
def test_a_resumed_run_measures_what_the_whole_one_does(runs, tmp_path):
    whole = runs["spectral"][0][0]
    torch.load(whole / "half.ckpt", weights_only=True)  # plain values: nothing that could run code
    shutil.copy(whole / "metrics.csv", tmp_path)
    train(tmp_path, resume=whole / "half.ckpt")
    assert logged_rows(tmp_path) == logged_rows(whole)
    assert (tmp_path / "singular_values.json").read_text() == (whole / "singular_values.json").read_text()


@pytest.mark.slow
def test_a_run_that_is_measured_from_its_middle_on_begins_at_its_step(tmp_path):
    train(tmp_path / "before", 4, log=False)
    model = small_gan(disc_norm="spectral", steps=6, n_dis=2)
    model.g_step = 4
    (tmp_path / "after").mkdir()
    logging_trainer(tmp_path / "after", [OperatorNormLog(tmp_path / "after", every=2)], 4).fit(
        model, Digits(batch_size=4)
    )
    column = "layers/blocks.0.conv1/operator_norm"
    assert [step for step, row in logged_rows(tmp_path / "after").items() if row.get(column)] == [4, 6]


@pytest.mark.slow
def test_a_layer_without_circular_singular_values_has_a_norm_alone(tmp_path):
    train(tmp_path, 2, norm="convnorm_2021")
    found = logged_rows(tmp_path)[2]
    assert found["layers/blocks.0.conv1/operator_norm"]
    assert "layers/blocks.0.conv1/condition_number" not in found
    assert (tmp_path / "operator_norms.png").exists()


def test_a_second_fit_measures_each_layer_once(tmp_path):
    module, callback = train(tmp_path / "run", steps=2)
    names = [layer.name for layer in callback.layers]
    module.steps = 4
    logging_trainer(tmp_path / "run", [callback], validate_every=4).fit(module, datamodule=Digits(batch_size=4))
    assert [layer.name for layer in callback.layers] == names


def test_bad_input():
    with pytest.raises(BadInput, match="interval of the operator norm log is 0; expected 1 step or more"):
        OperatorNormLog(Path(), every=0)
    with pytest.raises(BadInput, match="LightningModule has no network 'discriminator'; it has: none"):
        OperatorNormLog(Path()).on_train_start(pl.Trainer(accelerator="cpu", logger=False), pl.LightningModule())
