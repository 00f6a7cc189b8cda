"""A signal saves the run and tells how to go on; SLURM starts its job again."""

import os
import signal
import sys
from pathlib import Path

import pytest
from whole_runs import WORDS, assert_same_run

from gan_convnorm.callbacks import FidelityScores
from gan_convnorm.callbacks.stop_signals import listen, stop_signals
from gan_convnorm.cli import main
from gan_convnorm.run_folder import read_checkpoint

pytestmark = pytest.mark.usefixtures("working_folder")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_saves_the_step_and_tells_how_to_go_on(whole, number, status, capsys, monkeypatch):
    from gan_convnorm.gan import GAN

    step = GAN.training_step

    def signalled(self, *args):
        if self.g_step == 5:
            os.kill(os.getpid(), number)
        return step(self, *args)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(GAN, "training_step", signalled)
        main([*WORDS, "--out", "run"])
    assert stop.value.code == status
    assert signal.getsignal(number) is before
    name = signal.Signals(number).name
    expected = f"error: stopped by {name}, saved at G step 6; go on with: python train_gan.py --resume run/last.ckpt\n"
    assert capsys.readouterr().err.endswith(expected)
    main(["--resume", "run/last.ckpt"])
    assert_same_run(whole, Path("run"))


@pytest.mark.slow
def test_a_signal_in_an_evaluation_goes_on_from_before_it(whole, monkeypatch, capsys):
    from gan_convnorm.gan import GAN

    sample = GAN.sample

    def signalled(self, *args, **kwargs):
        if self.g_step == 8:
            os.kill(os.getpid(), signal.SIGTERM)
        return sample(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(GAN, "sample", signalled)
        with pytest.raises(SystemExit) as stop:
            main([*WORDS, "--out", "run"])
    assert stop.value.code == 143
    assert "stopped by SIGTERM, saved at G step 8, before its evaluation; go on with" in capsys.readouterr().err
    assert read_checkpoint(Path("run/last.ckpt"))["g_step"] == 8
    main(["--resume", "last", "--out", "run"])
    assert_same_run(whole, Path("run"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_before_the_first_step_is_one_line_and_leaves_no_folder(number, capsys, monkeypatch):
    monkeypatch.setattr(FidelityScores, "on_fit_start", lambda *_: os.kill(os.getpid(), number))
    with pytest.raises(SystemExit) as stop:
        main([*WORDS, "--out", "runs/run"])
    assert stop.value.code == 128 + number
    err = capsys.readouterr().err
    assert err.startswith(f"error: stopped by {signal.Signals(number).name}; ") and err.count("\n") == 1
    assert not Path("runs/run").exists()


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)
    with monkeypatch.context() as patch:
        patch.setattr(signal, "signal", lambda *_: pytest.fail("nohup's handler is replaced"))
        listen(lambda number: None)()


@pytest.mark.slow
def test_the_reader_of_the_output_is_gone(whole, monkeypatch, capfd):
    """As in train_gan.py | head."""
    from gan_convnorm.gan import GAN

    step = GAN.training_step
    read, write = os.pipe()

    def closing(self, *args):
        if self.g_step == 5:
            os.close(read)
            print("a line that nobody reads", flush=True)
        return step(self, *args)

    with monkeypatch.context() as patch, os.fdopen(write, "w") as stream, pytest.raises(SystemExit) as stop:
        patch.setattr(GAN, "training_step", closing)
        patch.setattr(sys, "stdout", stream)
        main([*WORDS, "--out", "run"])
    assert stop.value.code == 128 + signal.SIGPIPE == 141
    expected = "error: stopped as its output has no reader (SIGPIPE), saved at G step 6; go on with"
    assert expected in capfd.readouterr().err
    main(["--resume", "last", "--out", "run"])
    assert_same_run(whole, Path("run"))


def test_a_locale_without_a_character_costs_the_character(tmp_path, monkeypatch):
    with Path("out").open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with stop_signals(lambda line: None):
            print("10 \u2022 20")
            assert sys.stdout.encoding == "ascii"
        assert sys.stdout is stream
    assert Path("out").read_text(encoding="ascii") == "10 ? 20\n"


@pytest.mark.slow
@pytest.mark.parametrize("granted", [True, False])
def test_slurm_starts_the_job_again_and_the_same_command_goes_on(whole, granted, monkeypatch, capsys, tmp_path):
    from gan_convnorm.gan import GAN

    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text('#!/bin/sh\necho "$@" > asked\n' + ("" if granted else "echo no such job >&2; exit 1\n"))
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(scontrol.parent), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    step = GAN.training_step

    def preempted(self, *args):
        if self.g_step == 5:
            os.kill(os.getpid(), signal.SIGUSR1)
        return step(self, *args)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(GAN, "training_step", preempted)
        main(WORDS)
    assert stop.value.code == 128 + signal.SIGUSR1
    assert Path("asked").read_text() == "requeue 77\n"
    run = Path("checkpoints/runs/digits-spectral-seed0")
    err = capsys.readouterr().err
    if not granted:
        assert "SLURM does not start job 77 again (no such job); go on with: python train_gan.py --resume" in err
        return
    assert f"saved at G step 6; SLURM starts job 77 again, which goes on from {run}/last.ckpt" in err
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:  # before its first step, too
        patch.setattr(FidelityScores, "on_fit_start", lambda *_: os.kill(os.getpid(), signal.SIGUSR1))
        main([*WORDS, "--out", "early"])
    assert stop.value.code == 128 + signal.SIGUSR1
    assert "error: stopped by SIGUSR1; SLURM starts job 77 again\n" in capsys.readouterr().err
    assert not Path("early").exists()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    main(WORDS)
    assert f"run {run}, from {run}/last.ckpt" in capsys.readouterr().out
    assert_same_run(whole, run)
