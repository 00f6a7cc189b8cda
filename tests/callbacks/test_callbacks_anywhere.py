"""SampleGrids, OperatorNormLog and FiniteCheck in LightningModules that know nothing of this package."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from dense_layers import convolution_matrix
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from strangers import VAE, PlainClassifier, TwoOptimizers, decode_prior, digits_loader, fit

from gan_convnorm.callbacks import FiniteCheck, NetworkEMA, OperatorNormLog, SampleGrids
from gan_convnorm.callbacks.sample_grids import _show
from gan_convnorm.errors import BadInput, RunStopped

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
    fit(module, [OperatorNormLog("norms", every=4, network="net")], logger=CSVLogger(".", name="", version="logs"))
    found = json.loads(Path("norms/singular_values-net.json").read_text())
    assert set(found["layers"]) == {"0", "2"} and Path("norms/operator_norms-net.png").exists()
    weight = module.net[0].weight.detach()
    matrix = convolution_matrix(weight, (8, 8), (1, 1), [(0, 0)] * 2, (1, 1))
    with Path("logs/metrics.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["layers/0/operator_norm"]) == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=0.01)


def test_a_name_that_is_not_there_lists_those_that_are():
    with pytest.raises(BadInput, match="PlainClassifier has no network 'critic'; it has: net, head"):
        fit(PlainClassifier(), [OperatorNormLog("norms", network="critic")])
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

    log = OperatorNormLog("norms", every=2, network="critic")
    fit(Named(), [log], max_epochs=1)
    assert [step for step, *_ in log.history["conv"]] == [0, 2, 4]


def test_a_module_whose_weights_are_all_frozen_is_checked_too():
    class Frozen(PlainClassifier):
        def training_step(self, batch, batch_idx):
            return torch.zeros((), requires_grad=True)

    module = Frozen()
    module.requires_grad_(False)
    assert fit(module, [FiniteCheck()], max_epochs=1).current_epoch == 1


def test_losses_of_several_shapes_and_a_module_that_trains_nothing_are_looked_at():
    class Shapes(PlainClassifier):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return {"loss": loss, "note": loss.detach().view(1)}

    class Nothing(pl.LightningModule):
        automatic_optimization = False

        def training_step(self, batch, batch_idx):
            return None

        def configure_optimizers(self):
            return None

    for module in (Shapes(), Nothing()):
        fit(module, [FiniteCheck()], max_epochs=1)


def test_a_single_layer_is_measured_and_a_network_that_is_not_called_a_warning():
    log = OperatorNormLog("norms", every=2, network="net.0")
    fit(PlainClassifier(), [log], max_epochs=1)
    assert list(log.history) == ["0"] and len(log.history["0"]) > 1

    class ByAnotherName(PlainClassifier):
        def training_step(self, batch, batch_idx):
            return self.head(torch.nn.Sequential(*self.net)(batch[0])).square().mean()

    with pytest.warns(UserWarning, match="the operator norm log has measured nothing: net was never called"):
        fit(ByAnotherName(), [OperatorNormLog("none", network="net")], max_epochs=1)
    assert not Path("none").exists()
