"""DiscriminatorLog: what it measures, and that the training is the same with and without it."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.demos.boring_classes import BoringModel
from short_training import logged_rows, logging_trainer, small_gan

from gan_convnorm.callbacks import DiscriminatorLog
from gan_convnorm.data import Arrays, Digits
from gan_convnorm.errors import BadInput
from gan_convnorm.study import figures


def train(folder, callbacks, **options):
    folder.mkdir()
    pl.seed_everything(0)
    module = small_gan(steps=4, **options)
    trainer = logging_trainer(folder, callbacks, validate_every=2)
    trainer.fit(module, datamodule=Digits(batch_size=4))
    return module, trainer, logged_rows(folder)


@pytest.mark.parametrize("options", [{}, {"conditional": True, "num_classes": 10}])
def test_columns_are_means_of_the_discriminator_s_outputs(tmp_path, options):
    log = DiscriminatorLog(30)
    module, trainer, rows = train(tmp_path / "run", [log], **options)
    assert all(rows[step]["discriminator/overfitting"] for step in (2, 4)) and not rows[3]["discriminator/overfitting"]
    module.eval()
    found = {}
    splits = {name: trainer.datamodule.split(name).tensors for name in ("train", "test")}
    chosen = {n: torch.randperm(len(t[0]), generator=torch.Generator().manual_seed(0))[:30] for n, t in splits.items()}
    labels = {name: tensors[1][chosen[name]] if options else None for name, tensors in splits.items()}
    fakes = module.sample(30, labels=labels["train"], ema=False)
    for name, images, classes in (
        ("train", splits["train"][0][chosen["train"]], labels["train"]),
        ("held_out", splits["test"][0][chosen["test"]], labels["test"]),
        ("generated", fakes, labels["train"]),
    ):
        with torch.no_grad():
            outputs = module.discriminator(((images.double() + 0.5) / 128 - 1).float(), classes)
        found[name] = outputs.double().mean().item()
        if name == "held_out":
            found["held_out_accuracy"] = (outputs > 0).double().mean().item()
    row = {name.removeprefix("discriminator/"): value for name, value in rows[4].items()}
    for name, value in found.items():
        assert float(row[name]) == pytest.approx(value, rel=1e-4, abs=1e-6)
    train_mean, held_out, generated = (float(row[name]) for name in ("train", "held_out", "generated"))
    assert float(row["overfitting"]) == pytest.approx((train_mean - held_out) / (train_mean - generated), rel=1e-6)


def test_a_study_draws_columns_that_are_logged(tmp_path):
    _, _, rows = train(tmp_path / "run", [DiscriminatorLog(30)])
    assert set(figures.DISCRIMINATOR) <= {name for name, value in rows[4].items() if value}


class Linear(torch.nn.Module):
    """D(x) = <w, x>, whose gradient is w everywhere."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.linspace(-1, 1, 256).view(1, 16, 16))

    def forward(self, images, labels=None):
        return (self.w * images).sum((1, 2, 3))


def test_the_gradient_is_that_of_the_pixels_and_leaves_none_in_the_weights(tmp_path):
    module, trainer, _ = train(tmp_path / "run", [])
    module.discriminator = Linear()
    found = DiscriminatorLog(30).measure(trainer, module)
    assert found["discriminator/image_gradient"] == pytest.approx(module.discriminator.w.norm().item(), rel=1e-6)
    assert module.discriminator.w.grad is None


def test_the_training_is_the_same_with_and_without_it(tmp_path):
    weights = []
    for name, callbacks in (("with", [DiscriminatorLog(20)]), ("without", [])):
        module, _, _ = train(tmp_path / name, callbacks, disc_norm="spectral")
        weights.append(module.state_dict())
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_a_module_in_training_is_measured_in_evaluation_mode(tmp_path):
    """More images are asked for than the smaller split has; the vectors of spectral norm stay."""
    module, trainer, _ = train(tmp_path / "run", [], disc_norm="spectral")
    module.train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert DiscriminatorLog(10**6).measure(trainer, module).keys() >= {
        "discriminator/train",
        "discriminator/image_gradient",
    }
    assert module.discriminator.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_gan_that_draws_from_the_global_state_trains_as_without_it(tmp_path):
    module, trainer, _ = train(tmp_path / "run", [])
    module.sample = lambda n, labels=None, ema=True: torch.randint(0, 256, (n, 1, 16, 16), dtype=torch.uint8)
    before = torch.random.get_rng_state()
    DiscriminatorLog(20).measure(trainer, module)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("count", [0, True, 1.5])
def test_a_count_that_is_none_is_one_line(count):
    with pytest.raises(BadInput, match="expected 1 or more"):
        DiscriminatorLog(count)


def test_test_images_without_labels_are_refused_before_a_conditional_gan_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 255, (24, 16, 16, 1), np.uint8)
    np.savez("half.npz", x=images, y=np.arange(24) % 2, x_test=images)
    data = Arrays(path="half.npz", resolution=16, batch_size=4, seed=0)
    trainer = logging_trainer(tmp_path, [DiscriminatorLog()], validate_every=2)
    with pytest.raises(BadInput, match="needs the labels of the test images"):
        trainer.fit(small_gan(steps=4, conditional=True, num_classes=2), data)


def test_a_module_that_is_no_gan_is_one_line():
    trainer = pl.Trainer(max_epochs=1, callbacks=[DiscriminatorLog()], logger=False, enable_checkpointing=False)
    with pytest.raises(BadInput, match="BoringModel has no discriminator"):
        trainer.fit(BoringModel())
