"""The command line as a user meets it: what runs, what it writes, what it refuses."""

import json
import re
import runpy
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import yaml
from PIL import Image
from program_runs import refused, rows, same, weights
from short_training import fit

import gan_convnorm
from gan_convnorm.callbacks import FidelityScores
from gan_convnorm.cli import main
from gan_convnorm.cli.score import main as score
from gan_convnorm.data import Digits
from gan_convnorm.gan import GAN
from gan_convnorm.layers import NORMS

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("folder")

SMALL = ["--width", "0.05", "--batch-size", "8", "--num-fake", "20", "--eval-every", "4"]


def read_image(path):
    pixels = torch.from_numpy(np.asarray(Image.open(path)).copy())
    return pixels.permute(2, 0, 1) if pixels.dim() == 3 else pixels[None]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run of six steps."""
    run = tmp_path_factory.mktemp("trained") / "run"
    main(["--disc-norm", "convnorm", "--steps", "6", "--seed", "3", "--out", str(run), *SMALL])
    return run


def test_a_run_leaves_everything_it_promises(trained):
    expected = {"config.yaml", "metrics.csv", "samples", "best.ckpt", "last.ckpt", "summary.json", "curves.png"}
    expected |= {"previous.ckpt", "report.html", "about.json"}
    expected |= {"tensorboard"} if find_spec("tensorboard") else set()
    assert {p.name for p in trained.iterdir()} == expected
    assert {p.name for p in (trained / "samples").iterdir()} == {
        *("real.png", "step-000000.png", "step-000004.png", "step-000006.png")
    }
    assert read_image(str(trained / "samples/step-000006.png")).shape[1:] == (662, 662)
    scores = [(int(r["step"]), float(r["fid"])) for r in rows(trained)]
    assert [step for step, _ in scores] == [4, 6]
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["last"]["g_step"] == summary["g_steps"] == 6
    assert (summary["best"]["g_step"], summary["best"]["fid"]) == min(scores, key=lambda s: s[1])
    assert summary["last"]["fid"] == scores[-1][1]
    accuracy = summary["protocol"].pop("extractor_accuracy")
    assert re.fullmatch("[0-9a-f]{8}", summary["protocol"].pop("extractor_digest"))
    assert 0.9 < accuracy <= 1
    assert summary["protocol"] == {
        "extractor_held_out": 143,
        "extractor": "labelled-classifier-2",
        "reference": "digits train images",
        "n_real": 1437,
        "fake": "EMA samples",
        "n_fake": 20,
        "isc_splits": 10,
        "name": "custom",
    }
    assert summary["hyperparameters"]["architecture"]["disc_norm"] == "convnorm"
    assert summary["hyperparameters"]["seed"] == 3
    assert {"torch", "torch-fidelity", "gan_convnorm"} <= set(summary["versions"])
    assert summary["seconds"] > 0
    best = torch.load(trained / "best.ckpt", weights_only=True)
    assert best["g_step"] == summary["best"]["g_step"]


def test_short_flags_are_the_nested_arguments(trained):
    config = yaml.safe_load((trained / "config.yaml").read_text())
    assert config["seed_everything"] == 3
    assert (
        config["model"]["architecture"]["disc_norm"],
        config["model"]["optimization"]["steps"],
        config["model"]["architecture"]["width"],
    ) == ("convnorm", 6, 0.05)
    assert config["trainer"]["val_check_interval"] == 4
    assert config["trainer"]["default_root_dir"] == str(trained)
    assert config["scores"]["num_fake"] == 20
    assert config["data"]["init_args"]["batch_size"] == 8
    assert config["ckpt_path"] is None


def test_a_flag_wins_over_a_config_and_a_config_over_the_default(capsys):
    Path("c.yaml").write_text("model: {architecture: {disc_norm: convnorm, width: 0.5}}\nseed_everything: 7\n")
    with pytest.raises(SystemExit):
        main(["--config", "c.yaml", "--width", "0.125", "--resolution", "32", "--data", "digits", "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert (config["model"]["architecture"]["disc_norm"], config["model"]["architecture"]["width"]) == (
        "convnorm",
        0.125,
    )
    assert config["seed_everything"] == 7
    assert config["data"] == {
        "class_path": "gan_convnorm.data.digits.Digits",
        "init_args": {"resolution": 32, "batch_size": 32},
    }


def test_config_reproduces_the_run(trained):
    main(["--config", str(trained / "config.yaml"), "--out", "again"])
    assert same(weights(trained / "last.ckpt"), weights("again/last.ckpt"))
    assert rows(trained) == rows(Path("again"))


@pytest.mark.parametrize(("norm", "precision"), [("convnorm", "32"), ("spectral", "64-true")])
def test_resume_is_exact(norm, precision, capsys):
    options = [
        "--disc-norm",
        norm,
        "--precision",
        precision,
        "--n-dis",
        "2",
        "--trainer.log_every_n_steps",
        "1",
        *SMALL,
    ]
    # The learning rate follows the number of steps, so both runs plan eight and one is stopped halfway.
    main([*options, "--steps", "8", "--out", "whole"])
    main(
        [*options, "--steps", "8", "--out", "parts", "--trainer.limit_train_batches", "4", "--trainer.max_epochs", "1"]
    )
    assert [r["step"] for r in rows(Path("parts"))] == ["1", "2", "3", "4"]
    main(["--resume", "last", "--out", "parts", "--trainer.limit_train_batches", "null", "--trainer.max_epochs", "-1"])
    assert "from parts/last.ckpt" in capsys.readouterr().out
    one, two = (torch.load(f"{name}/last.ckpt", weights_only=True) for name in ("whole", "parts"))
    assert one["g_step"] == two["g_step"] == 8
    assert same(one["state_dict"], two["state_dict"])
    for a, b in zip(one["optimizer_states"], two["optimizer_states"], strict=True):
        assert all(torch.equal(a["state"][i][k], b["state"][i][k]) for i in a["state"] for k in a["state"][i])
    assert rows(Path("whole")) == rows(Path("parts"))
    assert (
        json.loads(Path("whole/summary.json").read_text())["best"]
        == json.loads(Path("parts/summary.json").read_text())["best"]
    )


def test_validate_prints_the_score_that_training_logged(trained, capsys):
    main(["validate", "--ckpt_path", str(trained / "last.ckpt")])
    out = capsys.readouterr().out
    assert f"G step 6: FID {float(rows(trained)[-1]['fid']):.2f}" in out
    assert "20 EMA samples against 1437 digits train images" in out
    main(["test", "--ckpt_path", str(trained / "last.ckpt"), "--num-fake", "30"])
    assert "30 EMA samples against 360 digits test images" in capsys.readouterr().out


def test_one_callback_scores_each_stage_against_its_own_split(trained, capsys):
    trainer = pl.Trainer(
        callbacks=[FidelityScores(num_fake=20)], logger=False, enable_progress_bar=False, accelerator="cpu"
    )
    gan, data = GAN.load_from_checkpoint(trained / "last.ckpt"), Digits()
    splits = []
    for stage in (trainer.validate, trainer.test, trainer.validate):
        stage(gan, data, verbose=False)
        splits.append(trainer.callbacks[0].taken.last.protocol["reference"])
    assert splits == ["digits train images", "digits test images", "digits train images"]
    out = capsys.readouterr().out
    assert out.count("20 EMA samples against 1437 digits train images") == 1
    assert out.count("20 EMA samples against 360 digits test images") == 1


def test_predict_writes_images_and_a_grid(trained, capsys):
    main(["predict", "--ckpt_path", str(trained / "best.ckpt"), "--num", "70", "--out", "made"])
    assert "70 images" in capsys.readouterr().out
    assert len(list(Path("made/images").glob("*.png"))) == 70
    assert read_image("made/images/00069.png").shape == (1, 16, 16)
    grid = read_image("made/grid.png")
    assert grid.shape[1:] == (66 * 7 + 2, 66 * 10 + 2)  # sixteen pixels are drawn as 64
    assert torch.equal(grid[0, 2:66:4, 2:66:4], read_image("made/images/00000.png")[0])
    err = refused(capsys, "predict", "--ckpt_path", str(trained / "best.ckpt"), "--out", "made")
    assert "not empty" in err
    assert "trained without classes" in refused(
        capsys, "predict", "--ckpt_path", str(trained / "best.ckpt"), "--out", "other", "--labels", "3"
    )


def test_unnamed_runs_never_collide(capsys):
    for _ in range(2):
        main(["--steps", "1", *SMALL])
    assert sorted(p.name for p in Path("checkpoints/runs").iterdir()) == [
        "digits-spectral-seed0",
        "digits-spectral-seed0-2",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--disc-norm foo",
            f"norm 'foo' is not known; choose one of: {', '.join(NORMS)}, or two as a+b, or give your own",
        ),
        ("--gen-norm foo", f"choose one of: {', '.join(NORMS)}"),
        ("--disc-norm foo:Bar", "norm 'foo:Bar': importing 'foo' failed"),
        ("--disc-norm convnorm --model.architecture.disc_norm_options '{epsilon: 1}'", "no option 'epsilon'"),
        ("--disc-norm convnorm --model.architecture.disc_norm_options '{gain: high}'", "gain is 'high'"),
        ("--extractor vgg", "choose one of: classifier, inception"),
        ("--data nope", "choose one of: digits"),
        ("--data no.such.Class", "no.such.Class"),
        ("--data ./full", "for its images give --data folder --data.path ./full"),
        ("--data=images.npz", "for its images give --data npz --data.path images.npz"),
        ("--nonsense 3", "unrecognized arguments: --nonsense"),
        ("frobnicate", "choose from"),
        ("--config none.yaml", "none.yaml"),
        ("--config list.yaml", "list.yaml"),
        ("--config broken.yaml", "broken.yaml"),
        ("--config unknown.yaml", "wdith"),
        ("--steps abc", "model.optimization.steps"),
        ("--steps 0", "steps is 0, and must be 1 or more"),
        ("--n-dis 0", "n_dis is 0"),
        ("--batch-size 0", "batch_size is 0"),
        ("--width 0", "width is 0"),
        ("--resolution 20", "choose a resolution of: 16, 32"),
        ("--num-fake 3", "IS over 10 splits needs 20"),
        ("--eval-every 0", "--eval-every is 0"),
        ("--eval-every 0.5", "--eval-every is 0.5"),
        ("--seed -1", "--seed is -1"),
        ("--seed true", "seed"),
        ("--resume none.ckpt", "there is no checkpoint none.ckpt"),
        ("--resume last", "no last.ckpt"),
        ("--resume text.ckpt", "text.ckpt is damaged or no checkpoint"),
        ("--out full", "is not empty"),
        ("--out text.ckpt/run", "cannot be written"),
        ("validate", "--ckpt_path PATH"),
        ("validate --ckpt_path none.ckpt", "there is no checkpoint none.ckpt"),
        ("test --ckpt_path text.ckpt", "damaged or no checkpoint"),
        ("test --ckpt_path foreign.ckpt", "holds no run settings"),
        ("test --ckpt_path code.ckpt", "cannot be read as a checkpoint"),
        ("predict --ckpt_path none.ckpt", "there is no checkpoint"),
    ],
)
def test_bad_input_is_one_line_before_any_training(words, message, capsys):
    Path("text.ckpt").write_text("text")
    torch.save({"weights": torch.zeros(2)}, "foreign.ckpt")
    torch.save({"run": Path()}, "code.ckpt")  # an object, which a checkpoint must not hold
    Path("full").mkdir()
    Path("full/file").write_text("precious")
    Path("list.yaml").write_text("- 1\n")
    Path("broken.yaml").write_text("model: [\n")
    Path("unknown.yaml").write_text("model: {wdith: 1}\n")
    before = sorted(Path().rglob("*"))
    assert message in refused(capsys, *shlex.split(words))
    assert [p for p in sorted(Path().rglob("*")) if p not in before and p.is_file()] == []
    assert not list(Path().glob("checkpoints/runs/*"))
    assert Path("full/file").read_text() == "precious"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--width 0.1", "trained with width 0.05, and 0.1 is asked for"),
        ("--disc-norm spectral", "trained with disc_norm 'convnorm'"),
        ("--resolution 32", "trained with resolution 16"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(trained, flags, message, capsys):
    assert message in refused(capsys, "validate", "--ckpt_path", str(trained / "best.ckpt"), *flags.split())


def test_a_truncated_checkpoint_is_refused(trained, capsys):
    content = (trained / "last.ckpt").read_bytes()
    Path("cut.ckpt").write_bytes(content[: len(content) // 2])
    assert "damaged" in refused(capsys, "--resume", "cut.ckpt")


def test_unavailable_weights_end_the_run_before_training(capsys, monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", offline)
    assert "no network" in refused(capsys, "--extractor", "inception", *SMALL)
    assert not Path("checkpoints").exists()


@pytest.mark.parametrize("start", [str(ROOT / "train_gan.py"), "gan_convnorm"])
def test_programs_are_the_same_command(start, monkeypatch, capsys):
    """In this process: tests/cli/test_program_start.py starts one of its own."""
    monkeypatch.setattr(sys, "argv", [start, "--disc-norm", "foo"])
    with pytest.raises(SystemExit) as stop:
        if start.endswith(".py"):
            runpy.run_path(start, run_name="__main__")
        else:
            runpy.run_module(start, run_name="__main__")
    assert stop.value.code == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: norm 'foo' is not known; choose one of: none, batch, ")
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_a_gan_trained_without_our_command_line_can_be_loaded_sampled_and_scored(working_folder, capsys):
    """The GAN writes its own part of the record."""
    gan, trainer = fit(steps=2, disc_norm="convnorm")
    trainer.save_checkpoint("own.ckpt")
    loaded = gan_convnorm.load("own.ckpt")
    assert loaded.g_step == 2 and not loaded.training
    assert all(torch.equal(value, gan.state_dict()[name]) for name, value in loaded.state_dict().items())
    main(["predict", "--ckpt_path", "own.ckpt", "--num", "2", "--out", "made"])
    assert Path("made/grid.png").exists()
    unnamed = refused(capsys, "validate", "--ckpt_path", "own.ckpt")
    assert "does not name the data it was trained on; give them with --data" in unnamed
    main(["validate", "--ckpt_path", "own.ckpt", "--data", "digits", "--num-fake", "20"])
    assert "G step 2: FID" in capsys.readouterr().out


@pytest.mark.parametrize("device", ["bogus", "cuda:99"])
def test_a_device_that_is_not_there_is_one_line(working_folder, capsys, device):
    zoo = Path(__file__).parents[2] / "checkpoints/digits_convnorm"
    words = [str(zoo / "model.safetensors"), "none", "--device", device]
    assert device in refused(capsys, *words, program=score)
