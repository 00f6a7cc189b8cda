"""Words and files that people give to the commands: spelling, configurations, checkpoints whose data has moved."""

import shutil
import warnings
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from program_runs import TWO_STEPS, refused

from gan_convnorm import cli
from gan_convnorm.cli import main
from gan_convnorm.cli.command_words import values_of
from gan_convnorm.cli.configuration_errors import in_plain_words

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on the digits of two steps, with a setting that no other command has."""
    path = tmp_path_factory.mktemp("runs") / "run"
    words = ["--steps", "2", "--width", "0.05", "--batch-size", "8", "--num-fake", "20", "--eval-every", "2"]
    main([*words, "--operator-norms-every", "1", "--out", str(path)])
    return path


@pytest.fixture(scope="module")
def photos_run(tmp_path_factory):
    """A run on a labelled folder of grey pictures, and the folder."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(48):
        path = folder / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        value = torch.randint(0, 256, (16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(number))
        Image.fromarray(value.numpy()).save(path)
    words = ["--data", "folder", "--data.path", str(folder / "photos"), "--data.channels", "1", "--resolution", "16"]
    words += ["--steps", "2", "--width", "0.05", "--batch-size", "4", "--num-fake", "20", "--eval-every", "2"]
    main([*words, "--out", str(folder / "run")])
    return folder


def test_values_of_a_flag():
    assert values_of(["--out", "a", "--out=b", "--outer", "c"], "--out") == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--disc-nrom convnorm", "unrecognized arguments: --disc-nrom convnorm; did you mean --disc-norm?"),
        ("--model.architecture.disc-nrom convnorm", "did you mean --model.architecture.disc_norm?"),
        ("--chekpt_path x", "unrecognized arguments: --chekpt_path x; did you mean --ckpt-path?"),
        ("--steps", "argument --steps (model.optimization.steps): expected one argument"),
        ("--steps --width 0.5", "argument --steps (model.optimization.steps): expected one argument"),
        ("--batch-size many", "--batch-size (data.init_args.batch_size) is 'many'; expected a whole number"),
        ("--threads many", "--threads is 'many'; expected "),
        ("--steps many", "--steps (model.optimization.steps) is 'many'; expected a whole number"),
        ("--steps 1.5", "--steps (model.optimization.steps) is '1.5'; expected a whole number"),
        ("--seed abc", "--seed (seed_everything) is 'abc'; expected true or false or a whole number"),
        ("--conditional maybe", "--conditional (model.architecture.conditional) is 'maybe'; expected true or false"),
        (
            "--model.architecture.plan 5",
            "--model.architecture.plan is '5'; expected a mapping such as {key: value} or null",
        ),
        ("--precision 17", "--precision (trainer.precision) is '17'; expected 64, 32, 16 or "),
        ("--data.path x", "Digits of --data has no argument 'path'; do other data have it, such as --data folder?"),
        ("--data.fit squeeze --data.path . --data folder", "--data.fit is 'squeeze'; expected crop, stretch"),
        ("--accumulate 64 --batch-size 32", "a step has 32 images, fewer than the 64 micro-batches"),
        ("--trainer.overfit_batches .nan", "trainer.overfit_batches is nan; expected a whole number of batches"),
        ("--resume .", ". is not a file; expected a .ckpt file that a run has written"),
        ("--lr 0.1", "did you mean --gen-lr and --disc-lr?"),
        ("--data folder --data.path . --data.fit squeeze", "--data.fit is 'squeeze'; expected crop, stretch"),
        ("--trainer.callbacks nope", "--trainer.callbacks is 'nope'; expected a list or a class as module.Class"),
        ("--trainer.callbacks.class_path nope.Nope", "names nope.Nope, which cannot be used: No module named 'nope'"),
        ("--model 5", "--model is '5'; expected a mapping with the settings of model"),
        ("--config sections.yaml", "sections.yaml has model: 5; expected a mapping"),
        ("--config null.yaml", "null.yaml has trainer: None; expected a mapping"),
        ("--config twice.yaml", "has the key 'model' again"),
        ("--config bomb.yaml", "repeats"),
        ("--model bomb.yaml", "repeats"),
        ("--resume=", "--resume is empty"),
        ("--out=", "--out is empty; give a folder"),
        ("--config plan.yaml", "a study's file is for the verb study"),
        ("--trainer.max_time 00:00:00:00", "which leaves nothing to do"),
        ("--trainer.strategy ddp_spawn --devices 2", "copies this process with all its state; give ddp"),
        ("--disc-norm os:getcwd", "norm 'os:getcwd' does not take a convolution"),
        ("--disc-norm convnorm+batch+layer", "joins three or more"),
        ("--n-dis 1000000000", "n_dis is 1000000000, and must be from 1 to 1,000"),
        ("--batch-size 100000000000", "must be 1,000,000 or less"),
        ("--trainer.strategy abc", "strategy"),
        ("--trainer.accelerator abc", "accelerator"),
        ("--trainer.profiler abc", "the settings cannot be used: "),
        ("--model.optimization.gen_lr -1", "gen_lr is -1.0, and must be above 0, and finite"),
        ("--model.optimization.disc_lr .nan", "disc_lr is nan, and must be above 0, and finite"),
        ("--model.optimization.beta1 1.5", "beta1 is 1.5, and must be from 0 to below 1"),
        ("--model.optimization.ema_decay 2", "ema_decay is 2.0, and must be from 0 to 1"),
        ("--model.optimization.ema_decay -1", "ema_decay is -1.0, and must be from 0 to 1"),
        (
            "--penalty r1 --model.optimization.penalty_weight -1",
            "penalty_weight is -1, and it must be 0 or above, and finite",
        ),
        ("--width .inf", "width is inf"),
    ],
)
def test_a_wrong_value_is_named_with_its_flag_and_the_values_that_are_right(words, message, capsys):
    Path("plan.yaml").write_text("name: study\ngrids: {}\nconfig: {}\n")
    Path("sections.yaml").write_text("model: 5\n")
    Path("null.yaml").write_text("trainer: null\n")
    Path("twice.yaml").write_text("model: {optimization: {steps: 5}}\nmodel: {optimization: {steps: 6}}\n")
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    Path("bomb.yaml").write_text(bomb)
    err = refused(capsys, *words.split())
    assert message in err
    assert not any(text in err for text in ("Union", "subtypes", "Parser key", "<class", "typing"))
    assert not list(Path().glob("checkpoints/runs/*"))


def test_an_unknown_message_of_the_parser_stays_as_it_is():
    assert in_plain_words("expected one\n  argument", {}) == "expected one argument"


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_a_runs_configuration_works_with_every_command(command, run, capsys):
    words = [command, "--config", str(run / "config.yaml"), "--ckpt-path", str(run / "last.ckpt"), "--out", "made"]
    main([*words, *(["--num", "3"] if command == "predict" else [])])
    assert ("G step 2: FID" in capsys.readouterr().out) is (command != "predict")


def test_underscores_work_on_the_command_line(capsys):
    with pytest.raises(SystemExit):
        main(["--disc_norm", "convnorm", "--model.optimization.gen-lr", "0.5", "--batch_size", "7", "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert (config["model"]["architecture"]["disc_norm"], config["model"]["optimization"]["gen_lr"]) == (
        "convnorm",
        0.5,
    )
    assert config["data"]["init_args"]["batch_size"] == 7


def test_data_that_moved_is_given_anew_and_prediction_needs_none(photos_run, capsys):
    shutil.copytree(photos_run, "copy")
    shutil.rmtree("copy/run")
    shutil.move(photos_run / "photos", "moved")
    try:
        run = photos_run / "run"
        main(["predict", "--ckpt_path", str(run / "last.ckpt"), "--num", "2", "--out", "made"])
        assert Path("made/grid.png").exists()
        words = ["--ckpt_path", str(run / "last.ckpt")]
        line = refused(capsys, "validate", *words)
        assert "photos does not exist" in line and "name it with --data.path" in line
        assert "photos does not exist" in refused(capsys, "predict", *words, "--nearest", "2", "--out", "other")
        assert not Path("other").exists()
        main(["validate", *words, "--data.path", "moved"])
        assert "G step 2: FID" in capsys.readouterr().out
        main(["--resume", str(run / "last.ckpt"), "--data.path", "moved", "--steps", "3", "--out", "more"])
        assert torch.load("more/last.ckpt", weights_only=True)["g_step"] == 3
        assert "data.path" in capsys.readouterr().out
    finally:
        shutil.move("moved", photos_run / "photos")


def test_resuming_says_that_images_were_added(photos_run, capsys):
    shutil.copytree(photos_run / "photos", "photos")
    words = ["--resume", str(photos_run / "run/last.ckpt"), "--data.path", "photos", "--out", "more"]
    main([*words, "--steps", "3"])
    assert "other data" not in capsys.readouterr().out
    for number in range(10):
        shutil.copy("photos/a/0.png", f"photos/a/new{number}.png")
    shutil.move("photos/b", "photos/z")  # which a GAN without labels does not learn
    main([*words[:-1], "other", "--steps", "3"])
    assert "other data than the run so far: 43 -> 52 training images\n" in capsys.readouterr().out


def test_resuming_says_what_differs_and_when_nothing_is_left(run, capsys):
    last = str(run / "last.ckpt")
    assert "--steps is 1, and the run has 2 G steps already" in refused(capsys, "--resume", last, "--steps", "1")
    words = [
        "--steps",
        "3",
        "--n-dis",
        "2",
        "--batch-size",
        "4",
        "--model.optimization.gen_lr",
        "0.001",
        "--out",
        "more",
    ]
    main(["--resume", last, *words])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("other settings than")]
    assert line.removeprefix("other settings than the run so far: ").split(", ") == [
        "model.optimization.steps 2 -> 3",
        "model.optimization.n_dis 1 -> 2",
        "model.optimization.gen_lr 0.002 -> 0.001",
        "data.batch_size 8 -> 4",
    ]
    main(["--resume", last])
    out = capsys.readouterr().out
    assert "nothing is left to train: the run has all its 2 G steps; more with --steps" in out
    assert "other settings" not in out


def test_a_state_that_lightning_cannot_restore_is_one_line(run, capsys):
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    callbacks = checkpoint["callbacks"]
    for change, message in (
        ({"optimizer_states": [{"nonsense": 1}] * 2}, "optimizers or loops without their state"),
        ({"loops": {"fit_loop": 5}}, "optimizers or loops without their state"),
        ({"lr_schedulers": [{}, {}]}, "schedules [None, None]; expected 2"),
        ({"optimizer_states": checkpoint["optimizer_states"][:1]}, "has the state of 1 optimizers; expected 2"),
        ({"callbacks": {key: {} for key in callbacks}}, "no state of the callback RunReport"),
        ({"callbacks": {"RunReport": callbacks["RunReport"]}}, "no state of the callback FidelityScores"),
    ):
        torch.save(checkpoint | change, "changed.ckpt")
        err = refused(capsys, "--resume", "changed.ckpt", "--steps", "4", "--out", "made")
        assert message in err, err
        assert not Path("made").exists()


@pytest.mark.filterwarnings("ignore:FID of")
def test_a_run_says_where_it_trains_and_that_its_batch_has_images_twice(capsys):
    """Also without a progress bar."""
    words = ["--steps", "1", "--width", "0.05", "--batch-size", "1500", "--num-fake", "20", "--threads", "1"]
    with pytest.warns(UserWarning, match="a batch is 1500 images of 1437, so it has images several times"):
        main([*words, "--trainer.enable_progress_bar", "false", "--out", "run"])
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "run run, on the CPU (1 thread)"
    assert Path("run/last.ckpt").exists()


@pytest.mark.quick
def test_ctrl_c_while_the_program_loads_is_one_line(monkeypatch, capsys):
    def interrupted(verb):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_program", interrupted)
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--steps", "5"])
    assert stop.value.code == 130 and capsys.readouterr().err == "error: stopped by SIGINT\n"


def test_a_file_of_the_trainers_settings_names_the_run_folder(folder):
    Path("trainer.yaml").write_text("default_root_dir: mine\n")
    main(["--trainer", "trainer.yaml", *TWO_STEPS])
    assert Path("mine/last.ckpt").exists()


def test_validation_prints_no_warning_of_a_logger(short_runs, folder):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        main(["validate", "--ckpt_path", str(short_runs / "gan/last.ckpt"), "--num-fake", "20"])
    assert not [each for each in found if "logger configured" in str(each.message)]
