"""Settings and variables with which no run can be are refused in one line, before there is a folder."""

from pathlib import Path

import pytest
import torch
from program_runs import refused

from gan_convnorm.cli import main
from gan_convnorm.cli.classify import main as classify
from gan_convnorm.cli.trainer_settings import check_gan_settings, check_trainer_settings
from gan_convnorm.data.image_data import EndlessBatches
from gan_convnorm.errors import BadInput
from gan_convnorm.gan import GAN
from gan_convnorm.strategies import check_launch_environment

#: torch's own text (aten/src/ATen/mps/MPSFallback.mm)
MISSING = (
    "The operator 'aten::_fft_r2c' is not currently implemented for the MPS device. If you want this op to be "
    "considered for addition please comment on https://github.com/pytorch/pytorch/issues/141287 and mention use- "
    "case, that resulted in missing op as well as commit hash 2236df1770800ffea5697b11b0bb0d910b2e59e1. As a "
    "temporary fix, you can set the environment variable `PYTORCH_ENABLE_MPS_FALLBACK=1` to use the CPU as a "
    "fallback for this op. WARNING: this will be slower than running natively on MPS."
)
SETTINGS = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "val_check_interval": 5}


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fast_dev_run", True),
        ("fast_dev_run", 3),
        ("precision", "bf16-true"),
        ("precision", "16-true"),
        ("max_epochs", 0),
        ("min_epochs", 1),
        ("max_steps", 2),
        ("max_steps", 0),
        ("min_steps", 10),
        ("limit_train_batches", 0),
        ("limit_train_batches", 0.0),
        ("limit_val_batches", 0),
        ("limit_val_batches", 0.0),
        ("limit_test_batches", 0),
        ("limit_predict_batches", 1),
        ("check_val_every_n_epoch", 2),
        ("accumulate_grad_batches", 2),
        ("gradient_clip_val", 1.0),
        ("gradient_clip_algorithm", "norm"),
        ("log_every_n_steps", 0),
        ("log_every_n_steps", -1),
        ("enable_checkpointing", False),
        ("barebones", True),
        ("overfit_batches", 0.5),
        ("overfit_batches", -1),
        ("devices", 0),
        ("devices", "0"),
        ("devices", "two"),
        ("devices", [0]),
        ("devices", 100_000),
        ("num_nodes", 0),
        ("accelerator", "tpu"),
        ("accelerator", "abacus"),
        ("strategy", "unknown"),
        ("val_check_interval", 0.5),
        ("val_check_interval", True),
    ],
)
def test_a_setting_that_a_gan_s_run_cannot_mean_is_named(name, value):
    with pytest.raises(BadInput) as refused:
        check_gan_settings({**SETTINGS, name: value})
    message = str(refused.value)
    shown = {"val_check_interval": "--eval-every", "devices": "devices", "num_nodes": "--num-nodes"}.get(name, name)
    assert shown in message and str(value).lower() in message.lower() and "\n" not in message


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine without a GPU")
def test_a_gpu_that_is_not_there_is_one_line():
    with pytest.raises(BadInput, match=r"accelerator gpu, .*here are: cpu"):
        check_gan_settings({**SETTINGS, "accelerator": "gpu"})


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="a machine without Apple's GPU")
@pytest.mark.parametrize(
    ("program", "flag"), [(main, "--accelerator"), (main, "--trainer.accelerator"), (classify, "--trainer.accelerator")]
)
def test_an_apple_gpu_that_is_not_there_is_one_line(program, flag, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line = refused(capsys, flag, "mps", "--out", "run", program=program)
    assert "accelerator mps, devices 1, strategy auto: `MPSAccelerator` can not run on your system since the" in line
    assert "is not available; here are: cpu" in line
    assert not Path("run").exists()


def test_an_operation_that_apple_s_gpu_does_not_have_ends_a_run_in_one_line(tmp_path, monkeypatch, capsys):
    """No machine here has that GPU: torch's own words are raised in a training step."""

    def step(self, batch, batch_idx):
        raise NotImplementedError(MISSING)

    monkeypatch.setattr(GAN, "training_step", step)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["--width", "0.05", "--steps", "2", "--batch-size", "8", "--out", "run"])
    line = capsys.readouterr().err.splitlines()[-1]
    assert stop.value.code == 2
    assert line.startswith("error: Apple's GPU (mps) cannot compute the operation aten::_fft_r2c; start again with")
    assert "PYTORCH_ENABLE_MPS_FALLBACK=1" in line


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"devices": "2"},
        {"devices": "auto", "strategy": "auto"},
        {"devices": 2, "strategy": "ddp"},
        {"limit_val_batches": 1.0, "limit_train_batches": None, "overfit_batches": 1, "max_epochs": -1},
        {"limit_train_batches": 4, "max_epochs": 1},
        {"gradient_clip_val": None, "fast_dev_run": False, "log_every_n_steps": 1, "accumulate_grad_batches": 1},
    ],
)
def test_what_a_run_can_mean_is_taken(settings):
    check_gan_settings({**SETTINGS, **settings})


def test_classifiers_have_epochs_and_may_clip_and_accumulate():
    check_trainer_settings({**SETTINGS, "gradient_clip_val": 1.0, "accumulate_grad_batches": 2, "max_steps": 5})
    with pytest.raises(BadInput, match="limit_val_batches is 0"):
        check_trainer_settings({**SETTINGS, "limit_val_batches": 0})
    with pytest.raises(BadInput, match="max_steps is 0"):
        check_trainer_settings({**SETTINGS, "max_steps": 0})


@pytest.mark.parametrize("program", [main, classify])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--trainer.limit_val_batches", "0"], "limit_val_batches is 0"),
        (["--trainer.fast_dev_run", "true"], "fast_dev_run is"),
        (["--trainer.devices", "0"], "--devices is 0"),
        (["--trainer.log_every_n_steps", "0"], "log_every_n_steps is 0"),
    ],
)
def test_it_is_refused_before_there_is_a_folder(program, words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        program([*words, "--out", "run"])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and said in err and err.count("\n") == 1
    assert not Path("run").exists()


LEFT = {"WORLD_SIZE": "2", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("environment", "devices", "nodes", "said"),
    [
        ({"LOCAL_RANK": "1"}, 1, 1, "LOCAL_RANK is 1, and not set: WORLD_SIZE, MASTER_ADDR, MASTER_PORT"),
        ({"LOCAL_RANK": "0"}, 2, 1, "LOCAL_RANK is 0, and not set"),
        ({"LOCAL_RANK": "0", **LEFT}, 4, 1, "WORLD_SIZE is 2, and --devices and --num-nodes ask for 4"),
        ({"LOCAL_RANK": "3", **LEFT}, 2, 1, "LOCAL_RANK is 3, and a machine has 2 processes"),
        ({"LOCAL_RANK": "one"}, 1, 1, "LOCAL_RANK is 'one'; expected a whole number"),
        ({"RANK": "1"}, 1, 1, "RANK is 1, and nothing else tells of a launcher"),
        ({"WORLD_SIZE": "2"}, 1, 1, "WORLD_SIZE is 2, and --devices and --num-nodes ask for 1"),
        ({"NODE_RANK": "1"}, 1, 1, "NODE_RANK is 1, and --num-nodes is 1"),
        ({"MASTER_ADDR": "10.0.0.1"}, 2, 1, "MASTER_ADDR is 10.0.0.1, and --num-nodes is 1"),
        ({}, 1, 2, "MASTER_ADDR, MASTER_PORT or NODE_RANK is not set"),
        ({"SLURM_NTASKS": "4"}, 1, 1, "SLURM_NTASKS is 4, and --devices and --num-nodes ask for 1"),
        ({"SLURM_NTASKS": "2"}, 2, 1, "SLURM_NTASKS is 2, and not set: SLURM_NTASKS_PER_NODE, SLURM_PROCID"),
        ({"SLURM_PROCID": "1"}, 1, 1, "SLURM_PROCID is 1 without SLURM_NTASKS"),
        ({"TORCHELASTIC_RUN_ID": "x"}, 2, 1, "TORCHELASTIC_RUN_ID is x, and not set: RANK, LOCAL_RANK, WORLD_SIZE"),
        (
            {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "LOCAL_RANK": "1", **LEFT},
            1,
            1,
            "WORLD_SIZE is 2, and --devices and --num-nodes ask for 1",
        ),
    ],
)
def test_variables_of_another_job_are_named(environment, devices, nodes, said):
    with pytest.raises(BadInput) as refused:
        check_launch_environment(devices, nodes, environment)
    assert said in str(refused.value)
    assert "unset " in str(refused.value) or "torchrun or srun" in str(refused.value)


@pytest.mark.parametrize(
    ("environment", "devices", "nodes"),
    [
        ({}, 2, 1),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0", **LEFT}, 2, 1),  # started by Lightning's launcher
        ({"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "LOCAL_RANK": "1", **LEFT}, 2, 1),
        ({"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "LOCAL_RANK": "1", **LEFT}, None, 1),
        ({"NODE_RANK": "1", **LEFT}, 1, 2),
        ({"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "bash", "SLURM_PROCID": "0"}, 1, 1),
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, 1, 1),
        (
            {
                "SLURM_NTASKS": "2",
                "SLURM_NTASKS_PER_NODE": "2",
                "SLURM_PROCID": "1",
                "SLURM_LOCALID": "1",
                "SLURM_NODEID": "0",
            },
            2,
            1,
        ),
    ],
)
def test_a_launcher_s_variables_are_taken(environment, devices, nodes):
    check_launch_environment(devices, nodes, environment)


def test_a_rank_that_was_left_set_is_not_silent(tmp_path, monkeypatch, capsys):
    from pytorch_lightning.utilities.rank_zero import rank_zero_only

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(rank_zero_only, "rank", 1)  # as Lightning reads it when it is imported
    with pytest.raises(SystemExit) as stop:
        main(["--out", "run"])
    assert stop.value.code == 2 and "LOCAL_RANK" in capsys.readouterr().err
    assert not Path("run").exists()


def test_overfit_batches_repeats_the_first_batches():
    whole = EndlessBatches(100, 8, 2, seed=3)
    repeated = EndlessBatches(100, 8, 2, seed=3, repeated=2)
    assert [repeated.rows(s).tolist() for s in range(5)] == [whole.rows(s % 2).tolist() for s in range(5)]


def test_a_run_on_one_batch_sees_no_other_and_is_evaluated(tmp_path, monkeypatch):
    from gan_convnorm.gan import GAN

    monkeypatch.chdir(tmp_path)
    seen = []
    step = GAN.training_step
    monkeypatch.setattr(GAN, "training_step", lambda self, batch, i: (seen.append(batch[0]), step(self, batch, i))[1])
    words = ["--steps", "6", "--eval-every", "3", "--width", "0.05", "--batch-size", "4", "--num-fake", "20"]
    main([*words, "--trainer.overfit_batches", "1", "--out", "run"])
    assert len(seen) == 6 and all(torch.equal(images, seen[0]) for images in seen)
    assert Path("run/best.ckpt").exists() and Path("run/summary.json").exists()


def test_a_batch_smaller_than_n_dis_is_one_line():
    from short_training import small_gan

    gan = small_gan(n_dis=5)
    with pytest.raises(BadInput, match=r"a batch has 3 images, fewer than the 5 discriminator steps"):
        gan.training_step([torch.zeros(3, 1, 16, 16, dtype=torch.uint8)], 0)
