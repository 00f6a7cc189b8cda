"""A run that is killed, stopped or short of disk goes on as if nothing had happened, bit by bit."""

import errno
import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from forked_program import ForkedProgram
from killed_run import killed_run

from gan_convnorm.callbacks import FidelityScores
from gan_convnorm.callbacks.stop_signals import listen, stop_signals
from gan_convnorm.cli import main
from gan_convnorm.errors import NOT_FINITE, BadInput, RunStopped
from gan_convnorm.fidelity import Evaluator
from gan_convnorm.run_folder import (
    CheckpointFiles,
    MetricsFile,
    RunRecord,
    RunSettings,
    last_checkpoint,
    read_checkpoint,
)

WORDS = ["--steps", "12", "--eval-every", "4", "--n-dis", "2", "--width", "0.05", "--batch-size", "4"]
WORDS += ["--num-fake", "20", "--trainer.log_every_n_steps", "2", "--disc-norm", "spectral", "--conditional"]

pytestmark = pytest.mark.usefixtures("working_folder")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nobody disturbs."""
    run = tmp_path_factory.mktemp("whole") / "run"
    main([*WORDS, "--out", str(run)])
    return run


def flat(value, prefix=""):
    if isinstance(value, dict):
        for key, part in value.items():
            yield from flat(part, f"{prefix}.{key}")
    elif isinstance(value, (list, tuple)):
        for key, part in enumerate(value):
            yield from flat(part, f"{prefix}.{key}")
    else:
        yield prefix, value


def assert_same_run(one, two):
    """Weights, optimizers, schedules, loops, best score and every row; not paths and seconds."""
    found = [dict(flat(torch.load(run / "last.ckpt", weights_only=True))) for run in (one, two)]
    found = [
        {k.replace(str(run.resolve()), "RUN"): v for k, v in f.items()}
        for f, run in zip(found, (one, two), strict=True)
    ]
    assert found[0].keys() == found[1].keys()
    differing = []
    for name, value in found[0].items():
        if name == ".config" or name.endswith((".seconds", ".cpu_seconds", "_path", ".dirpath", ".current_score")):
            continue
        other = found[1][name]
        same = torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other
        differing += [] if same else [name]
    assert not differing
    assert (one / "metrics.csv").read_text() == (two / "metrics.csv").read_text()


@pytest.mark.slow
def test_killed_in_a_step_a_write_and_an_evaluation(whole):
    run = Path("run")
    first = [*WORDS, "--out", "run"]
    again = ["--resume", "last", "--out", "run"]
    for moment, step, words, saved in (
        ("step", 7, first, 4),
        ("write", 8, again, 4),
        ("evaluation", 8, again, 8),
        ("evaluation", 12, again, 12),
    ):
        killed = ForkedProgram(killed_run, moment, step, words)
        assert killed.end() == -signal.SIGKILL, killed.printed
        assert read_checkpoint(run / "last.ckpt")["g_step"] == saved
    main(again)
    assert_same_run(whole, run)


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


@pytest.mark.slow
def test_a_score_that_fails_after_the_last_step_loses_nothing(whole, monkeypatch, capsys):
    score = Evaluator.__call__
    evaluations = []

    def failing(self, *args):
        evaluations.append(args)
        if len(evaluations) == 3:  # at steps 4, 8 and 12
            raise BadInput("no score")
        return score(self, *args)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(Evaluator, "__call__", failing)
        main([*WORDS, "--out", "run"])
    assert stop.value.code == 2 and "no score" in capsys.readouterr().err
    assert read_checkpoint(Path("run/last.ckpt"))["g_step"] == 12
    main(["--resume", "last", "--out", "run"])
    assert_same_run(whole, Path("run"))


def test_seconds_are_those_of_all_sittings(tmp_path):
    record = RunRecord(tmp_path, "seed_everything: 0", RunSettings("gan", {}))
    record.load_state_dict({"seconds": 1e6, "cpu_seconds": 2e6})
    state = record.state_dict()
    assert 1e6 <= state["seconds"] < 1.1e6 and 2e6 <= state["cpu_seconds"] < 2.1e6


@pytest.mark.slow
def test_a_finished_run_has_nothing_left_to_do(whole, capsys):
    run = Path("run")
    shutil.copytree(whole, run)
    for name in ("summary.json", "curves.png"):  # as if killed before they were written
        (run / name).unlink()
    before = (run / "last.ckpt").read_bytes()
    main(["--resume", "last", "--out", "run"])
    assert (run / "last.ckpt").read_bytes() == before
    assert (whole / "metrics.csv").read_text() == (run / "metrics.csv").read_text()
    one, two = (json.loads((folder / "summary.json").read_text()) for folder in (whole, run))
    for name in ("last", "best", "final", "protocol", "g_steps"):
        assert one[name] == two[name]
    assert "12 G steps" in capsys.readouterr().out
    assert (run / "curves.png").exists()


@pytest.mark.slow
def test_a_damaged_last_checkpoint_is_passed_over(whole, recwarn):
    run = Path("run")
    main([*WORDS, "--steps", "12", "--out", "run"])
    content = bytearray((run / "last.ckpt").read_bytes())
    (run / "last.ckpt").write_bytes(content[: len(content) // 3])
    with pytest.warns(UserWarning, match=r"last\.ckpt is damaged .*; the run goes on from run/previous\.ckpt"):
        assert last_checkpoint(run) == run / "previous.ckpt"
    content[len(content) // 2] ^= 1  # one bit within the weights
    (run / "last.ckpt").write_bytes(content)
    with pytest.warns(UserWarning, match=r"last\.ckpt is damaged"):
        main(["--resume", "last", "--out", "run"])
    assert_same_run(whole, run)
    (run / "previous.ckpt").unlink()
    (run / "last.ckpt").write_bytes(content)
    with pytest.raises(BadInput, match=r"last\.ckpt is damaged"):
        last_checkpoint(run)


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_ends_the_run_and_leaves_the_checkpoint_before(whole, number, capsys, monkeypatch):
    save = torch.save
    saved = []

    def full(content, path):
        saved.append(path)
        if len(saved) > 3:  # at step 4: before the evaluation, best and last
            Path(path).write_bytes(b"half")
            raise OSError(number, os.strerror(number))
        save(content, path)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(SystemExit) as stop:
            main([*WORDS, "--out", "run"])
    assert stop.value.code == 1
    err = capsys.readouterr().err
    assert f"cannot be written ({os.strerror(number)}" in err and "--resume last" in err
    assert sorted(p.name for p in Path("run").glob("*.ckpt*")) == ["best.ckpt", "last.ckpt", "previous.ckpt"]
    main(["--resume", "last", "--out", "run"])
    assert_same_run(whole, Path("run"))


@pytest.mark.slow
@pytest.mark.parametrize("where", ["torch.save", "metrics"])
def test_a_disk_that_is_full_before_the_first_checkpoint_says_that_there_is_none(where, capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        if where == "metrics":
            patch.setattr(MetricsFile, "save", full)
        else:
            patch.setattr(torch, "save", full)
        main([*WORDS, "--out", "run"])
    assert stop.value.code == 1
    err = capsys.readouterr().err
    assert "No space left on device" in err and "no checkpoint has been saved in" in err and "intact" not in err


@pytest.mark.slow
@pytest.mark.parametrize("gone", ["run", "."])
def test_a_folder_that_is_deleted_during_the_run_is_one_line(gone, tmp_path, capsys, monkeypatch):
    from gan_convnorm.gan import GAN

    (tmp_path / "work").mkdir()
    monkeypatch.chdir("work")
    step = GAN.training_step

    def deleting(self, *args):
        if self.g_step == 5:
            shutil.rmtree(Path(gone).resolve())
        return step(self, *args)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(GAN, "training_step", deleting)
        main([*WORDS, "--out", "run"])
    monkeypatch.chdir(tmp_path)
    assert stop.value.code == 1
    err = capsys.readouterr().err
    assert "is gone, or another is in its place" in err and "Traceback" not in err
    assert not (tmp_path / "work/run").exists()


@pytest.mark.slow
def test_a_checkpoint_is_whole_at_every_moment(tmp_path):
    """A reader beside a writer never sees anything but one of the two."""
    path, files = tmp_path / "last.ckpt", CheckpointFiles()
    contents = [{"config": "", "weights": torch.full((200_000,), float(i))} for i in range(2)]
    files.save_checkpoint(contents[0], path)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for content in contents:
                files.save_checkpoint(content, path)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            weights = torch.load(path, weights_only=True)["weights"]
            assert (weights == weights[0]).all()
    finally:
        stop.set()
        writer.join()
    assert {p.name for p in tmp_path.iterdir()} == {"last.ckpt", "previous.ckpt"}
    assert not torch.equal(*(torch.load(p, weights_only=True)["weights"] for p in tmp_path.iterdir()))


@pytest.mark.slow
def test_non_finite_weights_end_the_run_at_their_step(capsys):
    with pytest.raises(SystemExit) as stop:
        main([*WORDS, "--steps", "200", "--disc-norm", "none", "--model.optimization.disc_lr", "1e30", "--out", "run"])
    assert stop.value.code == NOT_FINITE == 3
    err = capsys.readouterr().err.splitlines()[-1]
    assert (
        err.startswith("error: at G step ") and "became NaN or infinite; the checkpoints are of steps before it" in err
    )
    assert "d_loss" in err or "discriminator." in err


@pytest.mark.slow
def test_the_layer_that_is_not_finite_is_named(monkeypatch, capsys):
    from gan_convnorm.gan import GAN

    step = GAN.training_step

    def poisoned(self, *args):
        losses = step(self, *args)
        if self.g_step == 6:
            with torch.no_grad():
                self.discriminator.blocks[1].conv2.bias[0] = float("inf")
        return losses

    monkeypatch.setattr(GAN, "training_step", poisoned)
    with pytest.raises(SystemExit):
        main([*WORDS, "--out", "run"])
    assert "at G step 6 discriminator.blocks.1.conv2.bias became NaN or infinite" in capsys.readouterr().err
    assert read_checkpoint(Path("run/last.ckpt"))["g_step"] == 4


@pytest.mark.slow
def test_a_checkpoint_of_another_shape_or_version_names_the_key(whole):
    import gan_convnorm

    saved = torch.load(whole / "last.ckpt", weights_only=True)
    name = "generator.blocks.0.conv1.weight"
    for change, message in (
        (lambda state: state.update({name: state[name][:1]}), rf"'{name}' has the shape \(1, .*is expected"),
        (lambda state: state.pop(name), f"has no '{name}'; it was saved by another version"),
        (lambda state: state.update({"generator.extra": state[name]}), r"has 'generator\.extra', which is not known"),
    ):
        state = dict(saved["state_dict"])
        change(state)
        torch.save({**saved, "state_dict": state}, "other.ckpt")
        with pytest.raises(BadInput, match=message):
            gan_convnorm.load("other.ckpt")


def test_a_run_stopped_error_has_a_status():
    assert RunStopped("text").status == 1 and RunStopped("text", 143).status == 143
