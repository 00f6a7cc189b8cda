"""NetworkEMA in LightningModules that know nothing of this package."""

import copy

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from strangers import TwoOptimizers, digits_loader, fit

from gan_convnorm.callbacks import FidelityScores, NetworkEMA, SampleGrids
from gan_convnorm.errors import BadInput

pytestmark = pytest.mark.usefixtures("working_folder")


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


class Line(pl.LightningModule):
    """One weight that SGD draws to 10; its samples are images of nothing, and tell the weight that made them."""

    def __init__(self):
        super().__init__()
        self.decoder = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.decoder.weight)
        self.sampled_with = []

    def training_step(self, batch, batch_idx):
        return (self.decoder.weight - 10).square().mean()

    def validation_step(self, batch, batch_idx):
        self.log("weight", self.decoder.weight.item())

    def test_step(self, batch, batch_idx):
        self.sampled_with.append(self.decoder.weight.item())

    def sample(self, n):
        self.sampled_with.append(self.decoder.weight.item())
        return torch.rand(n, 1, 8, 8)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.05)


@pytest.mark.parametrize("validates", [True, False])
def test_a_sample_function_that_takes_the_average_has_it_in_a_validation_too(validates):
    average, module = NetworkEMA("decoder", decay=0.9), Line()

    def averaged_samples(module, n):
        with average.averaged(module), average.averaged(module):
            return module.sample(n)

    grids = SampleGrids("samples", 4, sample=averaged_samples, value_range=(0, 1), early=())
    fit(module, [average, grids], val=digits_loader() if validates else None, max_epochs=1)
    assert module.sampled_with == [average.averaged_network.weight.item()]
    assert module.decoder.weight.item() != module.sampled_with[0]


def test_final_scores_are_of_the_weights_of_the_scores_before_them():
    average, module = NetworkEMA("decoder", decay=0.9), Line()
    images = torch.randint(0, 256, (60, 1, 8, 8), dtype=torch.uint8)
    options = {"value_range": (0, 1), "num_fake": 60, "interim_num_fake": 40, "metrics": "fid"}
    # The last step is between two validations.
    run = {"max_epochs": -1, "max_steps": 5, "val_check_interval": 2, "num_sanity_val_steps": 0}
    fit(module, [average, FidelityScores(images, **options)], val=digits_loader(), **run)
    assert len(set(module.sampled_with)) == 3
    assert module.sampled_with[-1] == average.averaged_network.weight.item() != module.decoder.weight.item()


def test_two_averages_of_the_same_weights_are_refused():
    with pytest.raises(BadInput, match="two NetworkEMA average the same weights"):
        fit(Line(), [NetworkEMA("decoder", decay=0.9), NetworkEMA("", decay=0.99)], max_epochs=1)


@pytest.mark.parametrize("weights_only", [False, True])
def test_a_checkpoint_that_is_tested_has_its_own_weights(weights_only):
    average, module = NetworkEMA("decoder", decay=0.5), Line()
    first = ModelCheckpoint("saved", filename="first", monitor="weight", mode="min", save_weights_only=weights_only)
    trainer = fit(module, [average, first], val=digits_loader(), max_epochs=3, enable_checkpointing=True)
    saved = torch.load("saved/first.ckpt", weights_only=True)
    trainer.test(module, digits_loader(), ckpt_path="saved/first.ckpt", verbose=False)
    average_of_it = saved.get("callbacks", {}).get(average.state_key, {}).get("average", {}).get("module.weight")
    expected = saved["state_dict"]["decoder.weight"] if weights_only else average_of_it
    assert set(module.sampled_with) == {expected.item()}


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_the_average_has_the_precision_of_the_weights(precision):
    average, module = NetworkEMA("decoder", decay=0.5), Line()
    fit(module, [average], val=digits_loader(), max_epochs=1, precision=precision)
    assert average.averaged_network.weight.dtype == module.decoder.weight.dtype != torch.float32
    assert 0 < average.averaged_network.weight.item() < module.decoder.weight.item()


def test_an_average_in_double_precision_is_read_with_all_its_digits():
    average, saver = NetworkEMA("decoder", decay=0.9), ModelCheckpoint("saved", filename="first")
    fit(Line(), [average, saver], max_epochs=1, precision="64-true", enable_checkpointing=True)
    expected = average.averaged_network.weight.item()
    again = NetworkEMA("decoder", decay=0.9)
    trainer = pl.Trainer(accelerator="cpu", callbacks=[again], precision="64-true", logger=False)
    trainer.test(module := Line(), digits_loader(), ckpt_path="saved/first.ckpt", verbose=False)
    assert set(module.sampled_with) == {expected} != {torch.tensor(expected, dtype=torch.float32).item()}
