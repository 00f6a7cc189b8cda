"""SampleGrids, SpectrumLog, FiniteCheck and NetworkEMA in LightningModules that know nothing of this package."""

import copy
import csv
import json
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from strangers import VAE, PlainClassifier, TwoOptimizers, decode_prior, digits_loader, fit

from gan_convnorm.callbacks import FiniteCheck, NetworkEMA, SampleGrids, SpectrumLog
from gan_convnorm.callbacks.sample_grids import _show
from gan_convnorm.errors import BadInput, RunStopped
from gan_convnorm.operators.dense_layers import convolution_matrix

pytestmark = pytest.mark.usefixtures("working_folder")


def test_grids_are_drawn_early_and_at_validations_from_the_same_noise():
    class Still(VAE):
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.0)

    grids = SampleGrids("samples", 20, sample=decode_prior, value_range=(0, 1), early=(0, 3))
    fit(Still(), [grids], val=digits_loader())
    names = sorted(path.name for path in Path("samples").iterdir())
    assert names == ["step-000000.png", "step-000003.png", "step-000004.png", "step-000008.png"]
    pictures = [np.asarray(Image.open(Path("samples") / name)) for name in names]
    assert pictures[0].shape == (134, 662, 3)
    assert all(np.array_equal(pictures[0], picture) for picture in pictures[1:])


def test_a_validation_alone_draws_no_grid_over_the_trainings():
    grids = SampleGrids("samples", 20, sample=decode_prior, value_range=(0, 1))
    trainer = pl.Trainer(accelerator="cpu", callbacks=[grids], logger=False, enable_progress_bar=False)
    trainer.validate(VAE(), digits_loader(), verbose=False)
    assert not Path("samples").exists()


def test_pictures_replace_links_and_not_what_they_lead_to():
    Path("samples").mkdir()
    Path("precious.png").write_text("precious")
    Path("samples/step-000000.png").symlink_to("../precious.png")
    fit(VAE(), [SampleGrids("samples", 4, sample=decode_prior, value_range=(0, 1), early=(0,))], max_steps=1)
    assert Path("precious.png").read_text() == "precious"
    assert not Path("samples/step-000000.png").is_symlink()
    Image.open("samples/step-000000.png").load()


def test_grids_of_a_gan_with_its_own_sample_and_no_validation():
    fit(TwoOptimizers(), [SampleGrids("samples", 10, value_range=(-1, 1), early=())])
    # Both optimizers' steps count.
    assert sorted(path.name for path in Path("samples").iterdir()) == ["step-000008.png", "step-000016.png"]


def test_each_logger_is_given_the_picture_by_its_own_method(monkeypatch):
    given = []

    class Experiment:
        def add_image(self, name, picture, step):
            given.append(("tensorboard", name, tuple(picture.shape), step))

        def log_image(self, run_id, image, key, step):
            given.append(("mlflow", run_id, key, image.shape, step))

    for kind in (TensorBoardLogger, MLFlowLogger):
        monkeypatch.setattr(kind, "experiment", Experiment())
    monkeypatch.setattr(MLFlowLogger, "run_id", "run")
    monkeypatch.setattr(
        WandbLogger, "log_image", lambda self, key, images, step: given.append(("wandb", key, images[0].shape, step))
    )
    picture = torch.zeros(3, 6, 8, dtype=torch.uint8)
    for kind in (TensorBoardLogger, MLFlowLogger, WandbLogger):
        _show(kind.__new__(kind), picture, 7)
    assert given == [
        ("tensorboard", "samples", (3, 6, 8), 7),
        ("mlflow", "run", "samples", (6, 8, 3), 7),
        ("wandb", "samples", (6, 8, 3), 7),
    ]


def test_mlflow_and_tensorboard_hold_the_pictures_of_a_run():
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    logger = MLFlowLogger("vae", tracking_uri="sqlite:///mlflow.db", artifact_location="artifacts")
    fit(VAE(), [SampleGrids("samples", 10, sample=decode_prior, value_range=(0, 1), early=())], logger=logger)
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    assert list(Path("artifacts").rglob("*samples*"))


def test_the_spectra_of_any_network_by_its_name():
    module = PlainClassifier()
    fit(module, [SpectrumLog("spectra", every=4, network="net")], logger=CSVLogger(".", name="", version="logs"))
    found = json.loads(Path("spectra/spectrum-net.json").read_text())
    assert set(found["layers"]) == {"0", "2"} and Path("spectra/spectrum-net.png").exists()
    weight = module.net[0].weight.detach()
    matrix = convolution_matrix(weight, (8, 8), (1, 1), [(0, 0)] * 2, (1, 1))
    with Path("logs/metrics.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["spectrum/0/operator_norm"]) == pytest.approx(
        float(torch.linalg.matrix_norm(matrix, 2)), rel=0.01
    )


def test_a_name_that_is_not_there_lists_those_that_are():
    with pytest.raises(BadInput, match="PlainClassifier has no network 'critic'; it has: net, head"):
        fit(PlainClassifier(), [SpectrumLog("spectra", network="critic")])
    with pytest.raises(BadInput, match="has no network 'maker'; it has: net, head"):
        fit(PlainClassifier(), [NetworkEMA("maker")])


@pytest.mark.parametrize("loss", ["dictionary", "tensor"])
def test_a_loss_that_is_not_finite_ends_the_run_at_its_step(loss):
    module = PlainClassifier(breaks=2)
    if loss == "dictionary":
        step = module.training_step
        module.training_step = lambda batch, batch_idx: {"loss": step(batch, batch_idx), "note": "text"}
    with pytest.raises(RunStopped, match=r"at step 3 loss, net\.0\.weight, net\.0\.bias and \d more became NaN"):
        fit(module, [FiniteCheck()])


def test_a_finite_run_goes_on_whatever_a_step_returns():
    trainer = fit(TwoOptimizers(), [FiniteCheck()])
    assert trainer.global_step == 16


def expected_average(states, decay):
    """Return the average by its definition, in float64, of the states after each step; buffers are the last ones."""
    average = {name: value.double() for name, value in states[0].items()}
    for state in states[1:]:
        for name, value in state.items():
            average[name] = decay * average[name] + (1 - decay) * value.double()
    return average


class States(pl.Callback):
    """Keeps the maker's weights after every step."""

    def __init__(self):
        self.states = []

    def on_train_batch_end(self, trainer, module, *args):
        self.states.append(copy.deepcopy(module.maker.state_dict()))


def test_an_average_of_one_network_and_its_buffers_as_they_are():
    average, states = NetworkEMA("maker", decay=0.9), States()
    module = TwoOptimizers()
    fit(module, [average, states])
    expected = expected_average(states.states, 0.9)
    buffers = dict(module.maker.named_buffers())
    for name, value in average.averaged_network.state_dict().items():
        if name in buffers:
            assert torch.equal(value, states.states[-1][name]), name
        else:
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)
    assert all(torch.equal(value, module.maker.state_dict()[name]) for name, value in states.states[-1].items())


def test_evaluations_see_the_average_and_checkpoints_the_current_weights():
    seen = []

    class Watched(TwoOptimizers):
        def validation_step(self, batch, batch_idx):
            seen.append(copy.deepcopy(self.maker.state_dict()))

    average, states = NetworkEMA("maker", decay=0.5), States()
    saver = ModelCheckpoint("saved", filename="{epoch}", save_top_k=-1)
    module = Watched()
    fit(
        module,
        [average, states, saver],
        val=digits_loader(32),
        max_epochs=1,
        num_sanity_val_steps=0,
        enable_checkpointing=True,
    )
    expected = expected_average(states.states, 0.5)
    torch.testing.assert_close(seen[0]["0.weight"].double(), expected["0.weight"], rtol=1e-5, atol=1e-6)
    saved = torch.load("saved/epoch=0.ckpt", weights_only=True)
    assert torch.equal(saved["state_dict"]["maker.0.weight"], states.states[-1]["0.weight"])
    with average.averaged(module):
        assert torch.equal(module.maker.state_dict()["0.weight"], seen[0]["0.weight"])
    assert torch.equal(module.maker.state_dict()["0.weight"], states.states[-1]["0.weight"])
    # A resumed run goes on from the average that the checkpoint holds.
    again = NetworkEMA("maker", decay=0.5)
    fit(Watched(), [again], val=digits_loader(32), max_epochs=1, ckpt_path="saved/epoch=0.ckpt")
    assert torch.equal(again.averaged_network.state_dict()["0.weight"], seen[0]["0.weight"])


@pytest.mark.parametrize("network", ["maker", ""])
def test_a_checkpoint_that_is_saved_during_a_validation_has_the_current_weights(network):
    class Watched(TwoOptimizers):
        def validation_step(self, batch, batch_idx):
            if not self.trainer.sanity_checking:
                self.trainer.save_checkpoint("during.ckpt")

    average, saver = NetworkEMA(network, decay=0.5), ModelCheckpoint("saved", filename="after")
    module = Watched()
    fit(module, [average, saver], val=digits_loader(32), max_epochs=1, enable_checkpointing=True)
    during, after = (torch.load(path, weights_only=True) for path in ("during.ckpt", "saved/after.ckpt"))
    key = average.state_key
    for one, other in (
        (during["state_dict"], after["state_dict"]),
        (during["callbacks"][key]["average"], after["callbacks"][key]["average"]),
    ):
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(
        after["state_dict"]["maker.0.weight"],
        average.averaged_network.state_dict()["0.weight" if network else "maker.0.weight"],
    )


def test_an_impossible_decay_is_refused():
    with pytest.raises(BadInput, match="decay is 1; expected 0 to below 1"):
        NetworkEMA("maker", decay=1)
    with pytest.raises(BadInput, match="the average begins with the training"):
        NetworkEMA("maker").averaged_network  # noqa: B018


def test_an_average_that_a_checkpoint_does_not_hold_begins_at_its_weights():
    """A checkpoint of weights alone, or of a run without the callback: the network is the trained one."""
    trained = TwoOptimizers()
    saver = ModelCheckpoint("saved", filename="last", save_weights_only=True)
    fit(trained, [saver], max_epochs=1, enable_checkpointing=True)
    seen = []

    class Watched(TwoOptimizers):
        def validation_step(self, batch, batch_idx):
            seen.append(self.maker.state_dict()["0.weight"].clone())

    average = NetworkEMA("maker", decay=0.5)
    trainer = pl.Trainer(accelerator="cpu", callbacks=[average], logger=False, enable_progress_bar=False)
    trainer.validate(Watched(), digits_loader(32), ckpt_path="saved/last.ckpt", verbose=False)
    assert torch.equal(seen[0], trained.maker.state_dict()["0.weight"])
    # Another module has an average of its own.
    trainer.validate(other := Watched(), digits_loader(32), verbose=False)
    assert torch.equal(seen[1], other.maker.state_dict()["0.weight"])


def test_a_network_that_is_called_by_keyword_has_spectra():
    class Named(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.critic = Scaled()

        def training_step(self, batch, batch_idx):
            return self.critic(x=batch[0], scale=2.0).square().mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    class Scaled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 2, 3)

        def forward(self, x, scale):
            return scale * self.conv(x)

    log = SpectrumLog("spectra", every=2, network="critic")
    fit(Named(), [log], max_epochs=1)
    assert [step for step, *_ in log.history["conv"]] == [0, 2, 4]


def test_a_module_whose_weights_are_all_frozen_is_checked_too():
    class Frozen(PlainClassifier):
        def training_step(self, batch, batch_idx):
            return torch.zeros((), requires_grad=True)

    module = Frozen()
    module.requires_grad_(False)
    assert fit(module, [FiniteCheck()], max_epochs=1).current_epoch == 1
