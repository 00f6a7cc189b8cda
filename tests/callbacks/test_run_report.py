"""A run's pictures and page while it goes on, and what TensorBoard is given."""

import csv
import json
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from gan_convnorm.callbacks.run_report import _real_images
from gan_convnorm.cli import main


@pytest.mark.slow
def test_a_long_run_has_its_page_on_the_way(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr("gan_convnorm.callbacks.run_report.write_run_page", lambda folder: written.append(folder))
    monkeypatch.setattr("gan_convnorm.callbacks.run_report.PAGE_EVERY", 0)
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
    flags = ["--width", "0.05", "--batch-size", "8", "--num-fake", "20", "--steps", "4", "--eval-every", "2"]
    main([*flags, "--out", str(tmp_path / "run")])
    assert written == [tmp_path / "run"] * 3  # at two evaluations and at the end


@pytest.mark.slow
def test_tensorboard_has_scores_and_samples(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
    flags = ["--width", "0.05", "--batch-size", "8", "--num-fake", "20", "--steps", "4", "--eval-every", "2"]
    main([*flags, "--out", str(tmp_path / "run")])
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert {"fid", "isc"} <= set(events.Tags()["scalars"]) and events.Tags()["images"] == ["samples"]
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        expected = [(int(row["step"]), float(row["fid"])) for row in csv.DictReader(file) if row["fid"]]
    assert [(event.step, pytest.approx(event.value, rel=1e-6)) for event in events.Scalars("fid")] == expected
    assert [event.step for event in events.Images("samples")] == [0, 2, 4]
    main([*flags, "--out", str(tmp_path / "none"), "--trainer.logger", "false"])
    assert not (tmp_path / "none" / "tensorboard").exists() and (tmp_path / "none" / "metrics.csv").exists()


def test_a_folder_in_the_place_of_a_sample_costs_the_sample(tmp_path):
    from types import SimpleNamespace

    from gan_convnorm.callbacks import SampleGrids

    (tmp_path / "samples/step-000003.png/full").mkdir(parents=True)
    module = pl.LightningModule()
    module.g_step, module.sample = 3, lambda n: torch.zeros(n, 1, 4, 4, dtype=torch.uint8)
    trainer = SimpleNamespace(sanity_checking=False, is_global_zero=True, loggers=[], state=SimpleNamespace(fn="fit"))
    with pytest.warns(UserWarning, match="samples of G step 3 are not written"):
        SampleGrids(tmp_path / "samples").on_validation_epoch_end(trainer, module)


@pytest.mark.slow
def test_a_resumed_run_keeps_the_command_that_began_it(tmp_path, monkeypatch):
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
    folder = tmp_path / "run"

    def about_of(*words):
        monkeypatch.setattr("sys.argv", ["train_gan.py", *words])
        main(list(words))
        return json.loads((folder / "about.json").read_text(encoding="utf-8"))

    flags = ["--width", "0.05", "--batch-size", "32", "--num-fake", "20", "--eval-every", "2", "--out", str(folder)]
    first = about_of(*flags, "--steps", "2")
    # Digits of 16 pixels in batches of 32 are what a run without flags has.
    assert first["changed"] == {"--eval-every": "2", "--width": "0.05", "--num-fake": "20", "--steps": "2"}
    second = about_of("--resume", str(folder / "last.ckpt"), "--out", str(folder), "--steps", "4")
    assert (second["command"], second["started"]) == (first["command"], first["started"])
    assert [each["command"].split()[2] for each in second["resumed"]] == ["--resume"]
    assert second["changed"]["--steps"] == "4"
    (folder / "about.json").write_text("{", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"about\.json"):
        third = about_of("--resume", str(folder / "last.ckpt"), "--out", str(folder), "--steps", "5")
    assert "--steps 5" in third["command"] and "resumed" not in third


def test_real_images_are_of_the_whole_data_set():
    """A folder's images are in the order of its classes."""
    data = SimpleNamespace(train_set=TensorDataset(torch.arange(250, dtype=torch.uint8).view(250, 1, 1, 1)))
    shown = _real_images(SimpleNamespace(datamodule=data), SimpleNamespace(num_classes=None)).flatten()
    assert shown[0] == 0 and shown[-1] == 249 and bool((shown[1:] > shown[:-1]).all())


def test_a_class_without_images_is_black_among_the_real_ones():
    labels = torch.tensor([0, 2, 2, 0])
    data = SimpleNamespace(train_set=TensorDataset(torch.full((4, 1, 2, 2), 7, dtype=torch.uint8), labels))
    shown = _real_images(SimpleNamespace(datamodule=data), SimpleNamespace(num_classes=3))
    assert [bool(image.any()) for image in shown[:6]] == [True, False, True] * 2


@pytest.mark.slow
def test_a_conditional_run_has_a_row_for_each_class(tmp_path, monkeypatch):
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
    flags = ["--width", "0.05", "--batch-size", "8", "--num-fake", "20", "--steps", "2", "--eval-every", "2"]
    main([*flags, "--conditional", "--out", str(tmp_path / "run")])
    with Image.open(tmp_path / "run/samples/classes.png") as classes:
        assert classes.height == 10 * 66 + 2 and classes.width > 10 * 66 + 2  # with the classes' numbers
