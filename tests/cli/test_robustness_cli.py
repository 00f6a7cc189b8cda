"""The classifiers' command line: what runs, what it writes, what it refuses."""

import json
import shlex
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from program_runs import refused as refused_by
from program_runs import rows as all_rows
from program_runs import same, weights
from pytorch_lightning.cli import LightningCLI

from gan_convnorm import cli
from gan_convnorm.cli.classify_flags import CLASSIFY_FLAGS
from gan_convnorm.data import Digits
from gan_convnorm.robustness.certified import certified_radii, lipschitz_bound
from gan_convnorm.robustness.classifier import Classifier

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("folder")

QUICK = ["--width", "0.5", "--batch-size", "64", "--resolution", "8", "--trainer.enable_progress_bar", "false"]
SMALL = [*QUICK, "--num-images", "12", "--corruptions", "fog", "--attacks", "fgsm"]


def main(words):
    cli.main(["classify", *words])


def refused(capsys, *words):
    return refused_by(capsys, "classify", *words)


def rows(run):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in all_rows(run)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run of two epochs."""
    run = tmp_path_factory.mktemp("trained") / "run"
    words = ["--norm", "batch", "--label-noise", "0.2", "--fraction", "0.5", "--epochs", "2", "--seed", "3"]
    main([*words, "--out", str(run), *SMALL])
    return run


def test_a_run_leaves_everything_it_promises(trained):
    expected = {"config.yaml", "metrics.csv", "best.ckpt", "last.ckpt", "previous.ckpt", "summary.json", "curves.png"}
    assert {p.name for p in trained.iterdir()} == expected
    summary = json.loads((trained / "summary.json").read_text())
    scores = [r for r in rows(trained) if r["val_accuracy"]]
    assert summary["seconds"] > 0 and summary["cpu_seconds"] > 0
    assert len(scores) == 2 and summary["epochs"] == 2 and summary["steps"] == 20
    assert summary["best"]["val_accuracy"] == max(float(r["val_accuracy"]) for r in scores)
    assert summary["last"]["step"] == int(scores[-1]["step"])
    data = summary["data"]
    assert (data["train_images"], data["validation_images"], data["test_images"]) == (646, 143, 360)
    assert data["wrong_labels"] == pytest.approx(0.2, abs=0.5 / 646)
    assert set(summary["test"]) == {
        "clean",
        "mean_corruption_error",
        "corruptions",
        "attacks",
        "certified",
        "protocol",
    }
    assert summary["test"]["mean_corruption_error"] == pytest.approx(1 - np.mean(summary["test"]["corruptions"]["fog"]))
    assert summary["test"]["protocol"]["corrupted_images"] == 12
    assert {"torch", "scipy", "gan_convnorm"} <= set(summary["versions"])
    assert summary["hyperparameters"]["norm"] == "batch"


def test_short_flags_are_the_nested_arguments(trained):
    config = yaml.safe_load((trained / "config.yaml").read_text())
    assert config["seed_everything"] == 3 and config["ckpt_path"] is None
    assert (config["model"]["norm"], config["model"]["width"]) == ("batch", 0.5)
    assert config["split"] == {
        "validation": 0.1,
        "fraction": 0.5,
        "label_noise": 0.2,
        "label_noise_kind": "symmetric",
    } | {k: v for k, v in config["split"].items() if k == "seed"}
    assert config["trainer"]["max_epochs"] == 2 and config["trainer"]["default_root_dir"] == str(trained)
    assert (config["evaluation"]["corruptions"], config["evaluation"]["num_images"]) == ("fog", 12)
    assert config["data"]["init_args"]["batch_size"] == 64


def test_config_reproduces_the_run(trained):
    main(["--config", str(trained / "config.yaml"), "--out", "again"])
    assert same(weights(trained / "last.ckpt"), weights("again/last.ckpt"))
    assert rows(trained) == rows(Path("again"))


@pytest.mark.parametrize("flags", ["--norm batch --adversarial free", "--norm spectral+batch --adversarial pgd"])
def test_resume_is_exact(flags, monkeypatch):
    words = [*flags.split(), "--fraction", "0.1", "--epochs", "3", "--model.attack_steps", "2", *SMALL]
    words += ["--model.replays", "2"]
    main([*words, "--out", "whole"])

    def interrupt(self, *args):
        if self.current_epoch == 2:
            raise SystemExit(130)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "on_train_batch_start", interrupt, raising=False)
        with pytest.raises(SystemExit):
            main([*words, "--out", "parts"])
    assert not Path("parts/summary.json").exists()
    main(["--resume", "last", "--out", "parts"])
    one, two = (torch.load(f"{name}/last.ckpt", weights_only=True) for name in ("whole", "parts"))
    assert same(one["state_dict"], two["state_dict"])
    assert one["global_step"] == two["global_step"] and one["epoch"] == two["epoch"] == 2
    for a, b in zip(one["optimizer_states"], two["optimizer_states"], strict=True):
        assert all(torch.equal(a["state"][i]["momentum_buffer"], b["state"][i]["momentum_buffer"]) for i in a["state"])
    assert rows(Path("whole")) == rows(Path("parts"))
    scores = [json.loads(Path(f"{name}/summary.json").read_text()) for name in ("whole", "parts")]
    assert scores[0]["test"] == scores[1]["test"] and scores[0]["best"] == scores[1]["best"]


def test_validate_and_test_measure_the_checkpoint(trained, capsys):
    checkpoint = str(trained / "last.ckpt")
    main(["validate", "--ckpt_path", checkpoint])
    accuracy = float(rows(trained)[-1]["val_accuracy"])
    assert f"validation: accuracy {100 * accuracy:.2f}%" in capsys.readouterr().out
    main(["test", "--ckpt_path", checkpoint, "--json", "scores.json"])
    out = capsys.readouterr().out
    found = json.loads(Path("scores.json").read_text())
    assert found == json.loads((trained / "summary.json").read_text())["test"]
    assert f"clean: accuracy {100 * found['clean']:.2f}% of 360 test images" in out
    # The same by hand: the network's own weights, its statistics among them.
    module = Classifier.load_from_checkpoint(checkpoint).eval()
    data = Digits(resolution=8)
    data.setup()
    images, labels = data.test_set.tensors
    with torch.no_grad():
        assert found["clean"] == pytest.approx((module(images / 255).argmax(1) == labels).double().mean().item())
    main(["test", "--ckpt_path", checkpoint, "--attacks", "pgd,spsa,square", "--corruptions", "none", "--eps", "0"])
    out = capsys.readouterr().out
    expected = found["protocol"]["clean_of_attacked"]
    for name in ("pgd", "spsa", "square"):  # an attack of size nothing
        assert f"{name}: accuracy {100 * expected:.2f}% (L-infinity, eps 0/255)" in out


def test_validate_measures_no_image_that_was_trained_on(trained, capsys):
    for words, found in (
        (["--seed", "4"], "--seed is 4, and the run's was 3"),
        (["--split.validation", "0.2"], "is 0.2"),
    ):
        err = refused(capsys, "validate", "--ckpt_path", str(trained / "last.ckpt"), *words)
        assert found in err and "was trained on" in err


def test_a_resumed_run_says_what_changes_its_data_and_its_rate(trained, capsys):
    shutil.copytree(trained, "copy")
    main(["--resume", "copy/last.ckpt", "--out", "copy", "--epochs", "3", "--label-noise", "0.4"])
    assert "split.label_noise 0.2 -> 0.4, max_epochs 2 -> 3" in capsys.readouterr().out


def test_a_resumed_run_is_not_given_other_classes(capsys):
    for number, name in ((n, name) for n in range(10) for name in ("cat", "dog")):
        Path("pets", name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(np.full((8, 8), 10 * number))).save(f"pets/{name}/{number}.png")
    words = ["--data", "folder", "--data.path", "pets", "--data.channels", "1", "--data.test_fraction", "0.2"]
    main([*words, *SMALL, "--out", "run", "--epochs", "1"])
    shutil.move("pets/cat", "pets/wolf")
    err = refused(capsys, "--resume", "run/last.ckpt", "--out", "run", "--epochs", "2")
    assert "trained with the labels cat, dog, and the data have dog, wolf; give the data that the run had" in err
    shutil.move("pets/wolf", "pets/cat")
    main(["--resume", "run/last.ckpt", "--out", "run", "--epochs", "2"])


def test_a_run_without_a_validation_has_a_summary(capsys):
    main(["--out", "run", "--epochs", "1", "--trainer.check_val_every_n_epoch", "5", *SMALL])
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["best"] is summary["last"] is None and summary["test"]["attacks"].keys() == {"fgsm"}
    named = [line for line in capsys.readouterr().out.splitlines() if line.startswith("run/")]
    assert named == ["run/last.ckpt", "run/curves.png", "run/summary.json"]


def test_a_run_whose_weights_become_nan_ends_in_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--norm", "none", "--lr", "1e30", "--epochs", "2", "--out", "run", *SMALL])
    assert ended.value.code not in (None, 0)
    assert "became NaN or infinite" in capsys.readouterr().err
    assert not Path("run/best.ckpt").exists()


def test_accuracy_is_certified_for_a_radius(trained, capsys):
    checkpoint = str(trained / "last.ckpt")
    words = ["test", "--ckpt_path", checkpoint, "--attacks", "none", "--corruptions", "none", "--json", "found.json"]
    module = Classifier.load_from_checkpoint(checkpoint).eval()
    data = Digits(resolution=8)
    data.setup()
    images, labels = data.test_set.tensors
    with torch.no_grad():
        radii = certified_radii(module(images / 255), labels, lipschitz_bound(module.network, (1, 8, 8)))
    radius = f"{radii[radii > 0].median():.4g}"
    main([*words, "--certified-radius", radius])
    found = json.loads(Path("found.json").read_text())
    assert found["certified"] == (radii > float(radius)).double().mean().item()
    assert 0 < found["certified"] < found["clean"]
    assert found["protocol"]["certified_radius"] == float(radius)
    assert f"certified: accuracy {100 * found['certified']:.2f}%, proved for every change" in capsys.readouterr().out
    main([*words, "--overwrite"])
    assert json.loads(Path("found.json").read_text())["certified"] is None
    assert "certified:" not in capsys.readouterr().out


def test_a_checkpoint_does_not_choose_the_file_for_results(folder):
    """One of a stranger's could name any file, and have it replaced."""
    words = ["--epochs", "1", "--fraction", "0.05", "--out", "run", *SMALL]
    main([*words, "--json", "mine.json", "--overwrite"])
    Path("mine.json").write_text("precious")
    main(["test", "--ckpt_path", "run/last.ckpt"])
    assert Path("mine.json").read_text() == "precious"


def test_an_evaluation_replaces_its_own_file_and_no_other(trained, capsys):
    words = ["test", "--ckpt_path", str(trained / "last.ckpt"), *SMALL[-2:], "--corruptions", "none"]
    main([*words, "--json", "scores.json"])
    found = Path("scores.json").read_text()
    main([*words, "--json", "scores.json"])
    assert Path("scores.json").read_text() == found
    Path("scores.json").write_bytes(b"PK a checkpoint")
    assert "was not written by this command" in refused(capsys, *words, "--json", "scores.json")
    assert Path("scores.json").read_bytes() == b"PK a checkpoint"
    main([*words, "--json", "scores.json", "--overwrite"])
    assert Path("scores.json").read_text() == found


def test_a_corruption_folder_is_evaluated(trained, capsys):
    data = Digits(resolution=8)
    data.setup()
    images, labels = (t.numpy() for t in data.test_set.tensors)
    Path("c").mkdir()
    shown = np.concatenate([images.transpose(0, 2, 3, 1)] * 4 + [np.zeros_like(images.transpose(0, 2, 3, 1))])
    np.save("c/snow.npy", shown)
    np.save("c/labels.npy", np.tile(labels, 5))
    words = ["test", "--ckpt_path", str(trained / "last.ckpt"), "--attacks", "none", "--corruptions", "all"]
    main([*words, "--corruption-folder", "c", "--num-images", "null", "--json", "found.json"])
    found = json.loads(Path("found.json").read_text())
    clean, constant = found["clean"], set((np.bincount(labels) / 360).tolist())
    assert found["corruptions"]["snow"][:4] == [clean] * 4
    assert any(found["corruptions"]["snow"][4] == pytest.approx(share) for share in constant)  # one class for all
    assert found["protocol"]["corruptions"] == "c" and found["protocol"]["corrupted_images"] == 360
    training = [*QUICK, "--attacks", "none", "--corruptions", "snow", "--out", "run"]
    for shown, known, message in (
        (np.zeros((1800, 9, 9, 1), np.uint8), labels, "have shape (1, 9, 9); expected the data's (1, 8, 8)"),
        (np.zeros((1800, 8, 8, 3), np.uint8), labels, "have shape (3, 8, 8); expected the data's (1, 8, 8)"),
        (
            np.zeros((1800, 8, 8, 1), np.uint8),
            labels + 1,
            "has labels up to 10; expected those of the data's 10 classes",
        ),
    ):
        np.save("c/snow.npy", shown)
        np.save("c/labels.npy", np.tile(known, 5))
        assert message in refused(capsys, *words, "--corruption-folder", "c")
        assert message in refused(capsys, *training, "--corruption-folder", "c")  # before the first epoch
        assert not Path("run").exists() and not Path("checkpoints").exists()


@pytest.mark.parametrize("config", sorted(p.name for p in (ROOT / "configs/robustness").glob("*.yaml")))
def test_every_shipped_config_trains(config, capsys):
    words = ["--config", str(ROOT / "configs/robustness" / config), "--data", "digits", "--resolution", "8"]
    words += ["--epochs", "1", "--fraction", "0.01", "--batch-size", "4", "--trainer.limit_train_batches", "1"]
    words += ["--trainer.limit_val_batches", "1", "--model.crop", "1", "--corruptions", "none", "--attacks", "none"]
    if "imagenet" in config:
        words += ["--resolution", "32", "--arch", "torchvision.squeezenet1_1"]
    else:
        words += ["--width", "0.1"]
    main([*words, "--out", "run", "--trainer.enable_progress_bar", "false"])
    assert "clean: accuracy" in capsys.readouterr().out


DOCUMENTED = [
    line.strip()
    for line in (ROOT / "docs/robustness.md").read_text().splitlines()
    if line.startswith("    python train_gan.py classify")
]


@pytest.mark.parametrize("command", DOCUMENTED)
def test_documented_commands_are_understood(command, trained, capsys):
    words = shlex.split(command.replace("--data cifar10", "--data digits"))  # which is not embedded
    assert words[:3] == ["python", "train_gan.py", "classify"]
    words = [str(ROOT / w) if w.startswith("configs/") else w for w in words[3:]]
    words = [str(trained / "best.ckpt") if w.endswith("best.ckpt") else w for w in words]
    if words[0] in ("validate", "test"):
        main([*words, *(["--num-images", "4", "--corruptions", "none"] if words[0] == "test" else [])])
        assert "accuracy" in capsys.readouterr().out
    else:
        with pytest.raises(SystemExit) as stop:
            main([*words, "--print_config"])
        assert stop.value.code == 0
        config = yaml.safe_load(capsys.readouterr().out)
        keys = CLASSIFY_FLAGS.keys("fit")
        for flag, value in pairwise(words):
            if flag in keys and flag not in ("--seed", "--data", "--config"):
                setting = config
                for name in keys[flag].split("."):
                    setting = setting[name]
                assert str(setting) == value


def test_unnamed_runs_have_a_folder_of_their_own():
    words = ["--epochs", "1", "--fraction", "0.05", "--norm", "spectral+batch", *SMALL]
    for _ in range(2):
        main(words)
    names = sorted(p.name for p in Path("checkpoints/runs/robustness").iterdir())
    assert names == [f"digits-resnet8-spectral+batch-fraction0.05-seed0{end}" for end in ("", "-2")]
    main(["--resume", "last", "--epochs", "2"])
    assert len(rows(Path(f"checkpoints/runs/robustness/{names[1]}"))) > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--norm foo", "norm 'foo' is not known; choose one of: none, batch, "),
        ("--norm batch+convnorm", "normalizes no activations"),
        ("--arch foo", "arch 'foo' is not known; choose one of: resnet8"),
        ("--arch torchvision.foo", "torchvision has no classifier 'foo'"),
        ("--data nope", "choose one of: digits"),
        ("--nonsense 3", "unrecognized arguments: --nonsense"),
        ("predict", "choose from"),
        ("--config none.yaml", "none.yaml"),
        ("--epochs 0", "--epochs is 0"),
        ("--batch-size 0", "batch_size is 0"),
        ("--width 0", "width is 0"),
        ("--lr 0", "lr is 0"),
        ("--adversarial odd", "odd"),
        ("--fraction 0", "--fraction is 0"),
        ("--label-noise 2", "--label-noise is 2"),
        ("--label-noise-kind odd", "odd"),
        ("--corruptions rain", "--corruptions names 'rain'"),
        ("--corruption-folder none", "there is no corruption folder none"),
        ("--attacks fgsm,deepfool", "--attacks names 'deepfool'"),
        ("--attacks all", "attack 'autoattack' needs the package autoattack"),
        ("--data npz --data.path rgba.npz", "the images have 4 channels, and corruptions are made for 1 or 3"),
        ("--trainer.precision bf16-true", "trainer.precision is bf16-true, in which small steps"),
        ("--eps -1", "attack_eps is -1"),
        ("--eps 300", "attack_eps is 300"),
        ("--certified-radius 0", "certified_radius is 0"),
        ("--certified-radius .nan", "certified_radius is nan"),
        ("--certified-radius 0.1 --arch torchvision.squeezenet1_1", "not for SqueezeNet"),
        ("--model.crop 16", "crop is 16, and the images have 16 pixels"),
        ("--trainer.gradient_clip_val -1", "trainer.gradient_clip_val is -1"),
        ("--arch torchvision.foo --width 0.5", "torchvision has no classifier 'foo'"),
        ("--json ''", "--json is empty"),
        ("--eps .nan", "attack_eps is nan"),
        ("--evaluation.attack_step 0", "attack_step 0"),
        ("--evaluation.attack_steps 0", "attack_steps is 0"),
        ("--model.eps .nan", "eps is nan"),
        ("--model.attack_step .inf", "attack_step is inf"),
        ("--model.weight_decay -1", "weight_decay is -1"),
        ("--model.momentum 1", "momentum is 1"),
        ("--model.milestones [-1]", "milestones is -1"),
        ("--width .nan", "width is nan"),
        ("--lr .inf", "lr is inf"),
        ("--data npz --data.path unlabelled.npz", "the data have no labels"),
        ("--data npz --data.path half.npz", "the test images of half have no labels"),
        ("--data npz --data.path single.npz", "the data have labels of a single class"),
        ("--json full/file", "full/file exists and was not written by this command"),
        ("--json full/summary.json", "full/summary.json exists and was not written by this command"),
        ("--json full", "full is a folder; give the name of a file"),
        ("--num-images 0", "num_images is 0"),
        ("--json none/x.json", "there is no folder none"),
        ("--seed -1", "--seed is -1"),
        ("--resume last", "no last.ckpt"),
        ("test", "--ckpt_path PATH"),
        ("validate --ckpt_path none.ckpt", "there is no checkpoint none.ckpt"),
        ("--out full", "is not empty"),
    ],
)
def test_bad_input_is_one_line_before_any_training(words, message, capsys):
    Path("full").mkdir()
    Path("full/file").write_text("precious")
    Path("full/summary.json").write_text('{"clean": 1}')
    np.savez("unlabelled.npz", images=np.zeros((40, 8, 8, 1), np.uint8))
    half = {name: np.zeros((40, 8, 8, 1), np.uint8) for name in ("x", "x_test")}
    np.savez("half.npz", **half, y=np.arange(40) % 2)
    np.savez("rgba.npz", images=np.zeros((40, 8, 8, 4), np.uint8), labels=np.arange(40) % 2)
    np.savez("single.npz", images=np.zeros((40, 8, 8, 1), np.uint8), labels=np.zeros(40, int))
    assert message in refused(capsys, *shlex.split(words))
    assert Path("full/file").read_text() == "precious"
    assert not list(Path().rglob("*.ckpt")) and not list(Path().glob("checkpoints/runs/robustness/*"))


def test_a_checkpoint_of_another_network_is_refused(trained, capsys):
    err = refused(capsys, "test", "--ckpt_path", str(trained / "best.ckpt"), "--width", "1")
    assert "trained with width 0.5, and 1.0 is asked for" in err


def test_help_names_the_program(monkeypatch, capsys):
    spec = SimpleNamespace(name="gan_convnorm.__main__", parent="gan_convnorm")
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec, raising=False)
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert capsys.readouterr().out.startswith("usage: python -m gan_convnorm classify fit [")


def test_a_plugin_of_the_command_line_reaches_the_trainer(monkeypatch):
    given = []

    def stop(self, **settings):
        given.extend(type(plugin).__name__ for plugin in settings["plugins"])
        raise SystemExit(0)

    monkeypatch.setattr(LightningCLI, "instantiate_trainer", stop)
    with pytest.raises(SystemExit):
        main([*SMALL, "--trainer.plugins", "lightning_fabric.plugins.environments.LightningEnvironment"])
    assert given == ["CheckpointFiles", "LightningEnvironment"]
