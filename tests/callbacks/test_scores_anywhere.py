"""FidelityScores in LightningModules that know nothing of this package."""

import csv
import json
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from forked_program import ForkedProgram
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from stranger_on_processes import validate
from strangers import VAE, Sampling, TwoOptimizers, decode_prior, digits_loader, fit, reference
from torch.utils.data import (
    DataLoader,
    TensorDataset,
)

from gan_convnorm.callbacks import FidelityScores
from gan_convnorm.callbacks.generated_samples import image_bytes, sampler
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import create_extractor, evaluate

pytestmark = [pytest.mark.usefixtures("working_folder"), pytest.mark.filterwarnings("ignore:FID of")]
OPTIONS = {"num_fake": 300, "metrics": "fid", "value_range": (0, 1)}


def scores(**options):
    return FidelityScores(**(OPTIONS | {"sample": decode_prior} | options))


def test_a_vae_is_scored_at_every_validation_and_the_best_checkpoint_follows(capsys):
    found = []

    class Watch(pl.Callback):
        def on_validation_end(self, trainer, module):
            if not trainer.sanity_checking:
                found.append(float(trainer.callback_metrics["fid"]))

    best = ModelCheckpoint("checkpoints", monitor="fid", filename="{epoch}")
    stop = EarlyStopping("fid", patience=5)
    module = VAE()
    callbacks = [scores(), best, stop, Watch()]
    trainer = fit(module, callbacks, val=digits_loader(), max_epochs=3, enable_checkpointing=True)
    assert len(found) == 3 and trainer.current_epoch == 3
    assert float(best.best_model_score) == min(found) and float(stop.best_score) == pytest.approx(min(found))
    assert f"epoch={found.index(min(found))}" in best.best_model_path
    out = capsys.readouterr().out
    assert "300 samples against 128 validation images" in out and f"step 12: FID {found[-1]:.2f}" in out
    # The same images by `evaluate`, which other tests compare with torch-fidelity's own calculation.
    generate = sampler(module, decode_prior, (0, 1))
    images = torch.cat([generate(0, 256), generate(256, 44)])
    expected = evaluate(
        images, reference()[0], metrics="fid", extractor="classifier", labelled=reference(), device="cpu"
    )
    assert found[-1] == pytest.approx(expected.values["fid"], rel=1e-6)


@pytest.mark.parametrize(
    ("make", "own"), [(VAE, decode_prior), (VAE, lambda m, _, n: decode_prior(m, n)), (TwoOptimizers, None)]
)
def test_training_is_the_same_with_and_without_scores(make, own):
    value_range = (-1, 1) if make is TwoOptimizers else (0, 1)
    real = reference()[0]
    callback = FidelityScores(real, own, value_range=value_range, every=3, num_fake=40, metrics="fid")
    torch.manual_seed(0)
    scored, plain = make(), make()
    plain.load_state_dict(scored.state_dict())
    fit(scored, [callback])
    fit(plain, [])
    assert callback.taken.last is not None
    for name, value in plain.state_dict().items():
        assert torch.equal(value, scored.state_dict()[name]), name


def test_every_counts_the_trainers_steps_and_a_logger_has_them():
    from pytorch_lightning.loggers import CSVLogger

    logger = CSVLogger(".", name="", version="logs")
    fit(VAE(), [scores(every=3)], logger=logger, log_every_n_steps=1)
    with Path("logs/metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("fid")]
    assert [int(row["step"]) for row in rows] == [3, 6]


def test_without_a_validation_loop_every_epoch_is_scored():
    class NoValidation(Sampling):
        validation_step = pl.LightningModule.validation_step

    callback = FidelityScores(num_fake=40, metrics="fid", value_range=(0, 1))
    trainer = fit(NoValidation(), [callback])
    assert callback.taken.final is callback.taken.last is not None
    assert callback.taken.last.protocol["reference"] == "training images"
    assert "fid" in trainer.callback_metrics


def test_validate_and_test_score_as_well(capsys):
    callback = scores()
    trainer = pl.Trainer(accelerator="cpu", callbacks=[callback], logger=False, enable_progress_bar=False)
    module = VAE()
    trainer.validate(module, digits_loader(), verbose=False)
    validated = callback.taken.last.values
    module.test_step = VAE.validation_step.__get__(module)
    again = scores()
    trainer = pl.Trainer(accelerator="cpu", callbacks=[again], logger=False, enable_progress_bar=False)
    trainer.test(module, digits_loader(), verbose=False)
    assert again.taken.last.values == validated
    assert again.taken.last.protocol["reference"] == "test images"


def test_statistics_are_a_reference_with_the_classifier_in_the_cache(tmp_path):
    images = reference()[0]
    evaluate(images, images, metrics="fid", extractor="classifier", save_statistics="real.npz", device="cpu")
    callback = FidelityScores("real.npz", decode_prior, value_range=(0, 1), metrics="fid", num_fake=300)
    fit(VAE(), [callback], max_epochs=1)
    assert callback.taken.last.protocol["n_real"] == 128


@pytest.mark.parametrize(
    ("options", "module", "line"),
    [
        ({"sample": None}, VAE, r"VAE has no method sample\(n\)"),
        ({"value_range": None, "reference": reference()[0]}, VAE, r"samples are float32; .*value_range=\(0, 1\)"),
        ({"value_range": None}, VAE, r"images are float32; .*value_range"),
        ({"sample": lambda module: 0}, VAE, "sample takes 1 arguments"),
        ({"sample": lambda module, n: decode_prior(module, 3)}, VAE, "256 samples were asked for, and 3 came"),
        ({"sample": lambda module, n: torch.full((n, 1, 8, 8), float("nan"))}, VAE, "NaN or infinite"),
        ({"sample": lambda module, n: torch.zeros(n, 64)}, VAE, r"expected a tensor of shape \(N, C, H, W\)"),
        ({"reference": 7}, VAE, "the reference is a int"),
        ({"reference": reference()[0][:0]}, VAE, "there are no reference images"),
        ({"intra_class": True}, VAE, "not conditional"),
    ],
)
def test_something_missing_is_one_clear_line(options, module, line):
    with pytest.raises(BadInput, match=line) as raised:
        fit(module(), [scores(**options)], val=digits_loader())
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"value_range": (0, 255)}, r"value_range is \(0, 255\); expected \(0, 1\), \(-1, 1\), or None"),
        ({"every": 0}, "every is 0; expected 1 step or more"),
    ],
)
def test_impossible_options_are_refused_at_once(options, line):
    with pytest.raises(BadInput, match=line):
        scores(**options)


def test_the_range_of_floats_decides_their_bytes():
    values = torch.tensor([0.0, -1.0, 0.0, 0.25, 1.0, 1.0, 1.0, 1.5]).view(1, 1, 1, 8)
    found = image_bytes(values, (0, 1), "x", samples=True)
    assert found.flatten().tolist() == [0, 0, 0, 64, 255, 255, 255, 255]
    found = image_bytes(values, (-1, 1), "x", samples=True)
    assert found.flatten().tolist() == [128, 0, 128, 159, 255, 255, 255, 255]


def test_samples_may_overshoot_and_data_may_not():
    values = torch.tensor([-0.2, 0.0, 1.0, 0.5, 0.5]).view(1, 1, 1, 5)
    assert image_bytes(values, (0, 1), "samples", samples=True).flatten().tolist() == [0, 0, 255, 128, 128]
    with pytest.raises(BadInput, match=r"reference images go from -0\.2 to 1, beyond value_range \(0, 1\)"):
        image_bytes(values, (0, 1), "reference images", samples=False)
    with pytest.warns(UserWarning, match=r"samples go from -1 to 1: 40% of the values lie beyond value_range \(0, 1\)"):
        image_bytes(values.mul(10).clamp(-1, 1) - torch.tensor([0, 1.0, 0, 0, 0]), (0, 1), "samples", samples=True)


def test_a_prefix_keeps_two_sets_of_scores_apart():
    trainer = fit(VAE(), [scores(), scores(prefix="few_", num_fake=40)], val=digits_loader(), max_epochs=1)
    assert {"fid", "few_fid"} <= set(trainer.callback_metrics)
    assert trainer.callback_metrics["fid"] != trainer.callback_metrics["few_fid"]


def test_a_finished_run_that_is_resumed_keeps_its_scores():
    whole, resumed = scores(), scores()
    saver = ModelCheckpoint("saved", filename="{epoch}", save_top_k=-1)
    fit(VAE(), [whole, saver], val=digits_loader(), enable_checkpointing=True)
    torch.load("saved/epoch=1.ckpt", weights_only=True)
    fit(VAE(), [resumed], val=digits_loader(), ckpt_path="saved/epoch=1.ckpt")  # nothing is left to train
    assert resumed.taken.last == whole.taken.last is not None


@pytest.mark.slow
def test_two_processes_have_the_scores_of_one():
    weights = create_extractor("classifier", labelled=reference())
    del weights  # trained, and in the cache
    found = {}
    for count in (1, 2):
        program = ForkedProgram(validate, count)
        assert program.end(300) == 0, program.printed
        found[count] = json.loads(Path(f"scores{count}.json").read_text())
    assert found[1] == pytest.approx(found[2], rel=1e-6)


class Stopping(pl.Callback):
    """Ends the training after the first epoch's evaluation, as EarlyStopping does."""

    def on_validation_end(self, trainer, pl_module):
        trainer.should_stop = not trainer.sanity_checking


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({}, [Stopping()]),
        ({"max_epochs": 3, "check_val_every_n_epoch": 2}, []),
        ({"max_steps": 7, "every": 3}, []),
    ],
)
def test_the_whole_protocol_follows_the_last_step_however_it_comes(options, more):
    every = options.get("every")
    callback = scores(interim_num_fake=40, every=every)
    fit(VAE(), [callback, *more], val=digits_loader(64), **{k: v for k, v in options.items() if k != "every"})
    assert callback.taken.last.protocol["n_fake"] == 40 and callback.taken.final.protocol["n_fake"] == 300


def test_the_reference_is_the_validation_loader_with_and_without_a_sanity_check():
    for checks in (0, 2):
        callback = scores(num_fake=40)
        fit(VAE(), [callback], val=digits_loader(64), num_sanity_val_steps=checks, check_val_every_n_epoch=2)
        assert (callback.taken.last.protocol["reference"], callback.taken.last.protocol["n_real"]) == (
            "validation images",
            64,
        )


def test_the_reference_is_the_validation_loader_before_the_first_validation():
    callback = scores(num_fake=40, every=2)
    fit(VAE(), [callback], val=digits_loader(64), num_sanity_val_steps=0, check_val_every_n_epoch=9)
    assert callback.taken.last.protocol["reference"] == "validation images"


def test_another_data_set_is_another_reference():
    callback, module = scores(), VAE()
    trainer = pl.Trainer(accelerator="cpu", callbacks=[callback], logger=False, enable_progress_bar=False)
    for count in (64, 128, 64):
        trainer.validate(module, digits_loader(count), verbose=False)
        assert callback.taken.last.protocol["n_real"] == count


def test_the_final_scores_are_of_the_last_weights():
    """Not those of an evaluation some steps before, nor those of a finished run that trains on."""
    whole, module = scores(num_fake=40, every=3), VAE()
    trainer = fit(module, [whole], max_epochs=1)
    assert trainer.global_step % 3 and whole.taken.final.values != whole.taken.last.values
    again = scores(num_fake=40)
    trainer = pl.Trainer(accelerator="cpu", callbacks=[again], logger=False, enable_progress_bar=False)
    again.load_state_dict(whole.state_dict())
    assert (again.taken.final, again.taken.last_step) == (whole.taken.final, 3)
    again.on_train_batch_end(trainer, module, None, None, 0)
    assert again.taken.final is None


def test_loaders_have_no_protocol_by_name():
    """The quick protocol is of the train split, and a validation loader's images are not."""
    callback = scores(num_fake=2000, protocol="quick")
    fit(VAE(), [callback], val=digits_loader(64), max_epochs=1)
    found = callback.taken.final.protocol
    assert (found["reference"], found["n_fake"], found["name"]) == ("validation images", 2000, "custom")


def test_every_is_kept_when_a_batch_has_several_optimizer_steps():
    at = []

    class Watched(FidelityScores):
        def evaluate(self, trainer, module):
            at.append(trainer.global_step)
            self.taken.last, self.taken.last_step = 1, trainer.global_step

    module = TwoOptimizers()
    fit(module, [Watched(every=5, **(OPTIONS | {"sample": lambda m, n: torch.rand(n, 1, 8, 8)}))], max_epochs=2)
    steps = module.trainer.global_step // len(digits_loader()) // 2
    expected = [step for step in range(steps, module.trainer.global_step + 1, steps) if step // 5 > (step - steps) // 5]
    assert steps > 1 and at == expected


@pytest.mark.parametrize("arguments", ["module, n, *rest", "module, n, **rest"])
def test_a_sample_function_with_any_more_arguments_is_one_of_a_module_and_a_number(arguments):
    function = eval(f"lambda {arguments}: torch.zeros(n, 1, 8, 8)")
    assert sampler(pl.LightningModule(), function, (0, 1))(0, 3).shape == (3, 1, 8, 8)


def test_a_reference_with_random_transforms_leaves_the_training_as_it_was():
    class Flipped(TensorDataset):
        def __getitem__(self, row):
            image, *labels = super().__getitem__(row)
            return (image.flip(2) if torch.rand(()) < 0.5 else image, *labels)

    def trained(callbacks):
        pl.seed_everything(0, verbose=False)
        module, data = Sampling(), digits_loader().dataset
        fit(module, callbacks, loader=DataLoader(Flipped(*data.tensors), batch_size=32), max_epochs=1)
        return module.state_dict()

    scores = FidelityScores(value_range=(0, 1), num_fake=40, metrics="fid")
    with_scores, without = trained([scores]), trained([])
    assert all(torch.equal(value, without[name]) for name, value in with_scores.items())


def test_classes_of_a_sample_that_is_not_told_the_first_image():
    """`sample(n)` of an own module makes image i of each call of class i modulo the number of classes."""

    def of(classes):
        return (80 * classes)[:, None, None, None] + torch.randint(0, 9, (len(classes), 1, 8, 8))

    data = torch.arange(3).repeat(20)

    class Classes(VAE):
        num_classes = 3

        def sample(self, n):
            return of(torch.arange(n) % 3).byte()

    scores = FidelityScores((of(data).byte(), data), num_fake=600, metrics="fid", intra_class=True)
    trainer = fit(Classes(), [scores], max_epochs=1)
    # Fakes of a class are like its real images; fakes of other classes are 80 grey levels away.
    assert trainer.callback_metrics["intra_fid"] < 10
    for steps in (6, 7):  # after the seventh step there is no evaluation but the last
        options = {"metrics": "fid", "num_fake": 600, "interim_num_fake": 60, "every": 3, "intra_class": True}
        scores = FidelityScores((of(data).byte(), data), **options)
        logger = pl.loggers.CSVLogger(".", version=f"{steps}")
        fit(Classes(), [scores], max_epochs=None, max_steps=steps, logger=logger)
        assert "intra_fid" in (Path(logger.log_dir) / "metrics.csv").read_text()
    scores = FidelityScores((of(data).byte(), data), num_fake=600, metrics="fid", intra_class=True)
    logger = pl.loggers.CSVLogger(".", version="stopped")  # by another callback, right after an evaluation
    fit(Classes(), [scores, Stopping()], val=digits_loader(64), max_epochs=3, logger=logger)
    assert "intra_fid" in (Path(logger.log_dir) / "metrics.csv").read_text()


def test_a_train_loader_without_an_end_is_no_reference():
    class Endless(torch.utils.data.Sampler):
        def __iter__(self):
            while True:
                yield 0

    loader = DataLoader(digits_loader().dataset, batch_size=8, sampler=Endless())
    with pytest.raises(BadInput, match="a sampler without a length; give FidelityScores a reference"):
        fit(Sampling(), [FidelityScores(num_fake=40, value_range=(0, 1))], loader=loader, max_steps=2, max_epochs=-1)
