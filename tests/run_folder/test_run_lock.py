"""One process at a time writes to a run folder; what it never wrote to goes again."""

import errno
import json
import os
import shutil
import signal
import socket
from pathlib import Path

import pytest
from folder_holder import hold
from forked_program import ForkedProgram

from gan_convnorm.cli import checkpoint_choice, main
from gan_convnorm.errors import BadInput, RunStopped
from gan_convnorm.gan import GAN, Architecture
from gan_convnorm.run_folder import claim_folder, folder_locks, lock, lock_folder, restarted_folder


@pytest.fixture(autouse=True)
def no_job(working_folder, monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.slow
def test_another_process_holds_the_folder_until_it_is_dead(capsys):
    run = Path("run")
    run.mkdir()
    holder = ForkedProgram(hold, "run")
    holder.wait_for("locked")
    named = rf"run is being written by process {holder.pid} on {socket.gethostname()}, since 20"
    # Also where both believe to have made the folder: the one that is refused leaves it alone.
    for claim in (lambda: lock_folder(run, made=True), lambda: claim_folder(run)):
        with pytest.raises(BadInput, match=named), folder_locks():
            claim()
    with pytest.raises(BadInput, match=named):
        GAN(architecture=Architecture(width=0.05)).save_pretrained(run)
    (run / "last.ckpt").write_bytes(b"")
    with pytest.raises(BadInput, match=named):
        claim_folder(run)
    (run / "last.ckpt").unlink()
    with pytest.raises(SystemExit) as stop:
        main(["--out", "run"])
    assert stop.value.code == 2 and f"process {holder.pid}" in capsys.readouterr().err
    assert [path.name for path in run.iterdir()] == [".lock"]
    holder.process.kill()
    assert holder.end() == -signal.SIGKILL
    with folder_locks():
        assert claim_folder(run) == run  # the file that the dead one left is no content
        assert json.loads((run / ".lock").read_text())["pid"] == os.getpid()
    assert not list(run.iterdir())


def test_a_lock_is_taken_twice_by_its_process_and_freed_at_the_end():
    run = Path("run")
    with folder_locks():
        claim_folder(run)
        lock_folder(run)
        (run / "metrics.csv").write_text("step\n1\n")
    assert [path.name for path in run.iterdir()] == ["metrics.csv"]
    with pytest.raises(BadInput, match="not empty"):
        claim_folder(run)
    assert [path.name for path in run.iterdir()] == ["metrics.csv"]


@pytest.mark.parametrize("content", [(), ("config.yaml",)])
def test_a_folder_that_nothing_was_written_to_goes_again_after_an_error(content):
    with pytest.raises(RuntimeError), folder_locks():
        for name in content:
            (claim_folder(Path("runs/run")) / name).write_text("")
        claim_folder(Path("runs/other"))
        raise RuntimeError
    assert not Path("runs").exists()


def test_what_was_written_or_was_there_before_stays_after_an_error():
    Path("old").mkdir()
    with pytest.raises(RuntimeError), folder_locks():
        claim_folder(Path("old"))
        (claim_folder(Path("run")) / "metrics.csv").write_text("step,fid\n0,9.0\n50,8.0\n")
        raise RuntimeError
    assert sorted(str(path) for path in Path().rglob("*")) == ["old", "run", "run/metrics.csv"]


def test_a_file_system_without_locks_is_warned_of(monkeypatch):
    def refused(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refused)
    with pytest.warns(UserWarning, match="has no locks"), folder_locks():
        claim_folder(Path("run"))


def test_a_link_in_the_lock_s_place_is_not_written_through():
    Path("run").mkdir()
    Path("precious").write_text("text")
    Path("run/.lock").symlink_to(Path("precious").resolve())
    with pytest.raises(BadInput, match="cannot be written"), folder_locks():
        claim_folder(Path("run"))
    assert Path("precious").read_text() == "text"


def test_a_refused_folder_keeps_the_files_that_look_like_ours():
    Path("mine/sub").mkdir(parents=True)
    for name in (".lock", "notes.txt", "sub/.clip.123.part"):
        (Path("mine") / name).write_text("mine")
        os.utime(Path("mine") / name, (0, 0))
    with pytest.raises(BadInput, match="is not empty, and nothing is overwritten"), folder_locks():
        claim_folder(Path("mine"))
    for name in (".lock", "notes.txt", "sub/.clip.123.part"):
        assert (Path("mine") / name).read_text() == "mine"


@pytest.mark.parametrize("torn", ["", "{", '{"pid": 1', "\n", "\0\0"])
def test_a_lock_that_a_lost_machine_left_is_taken(torn):
    Path("run").mkdir()
    Path("run/.lock").write_text(torn)
    with folder_locks():
        lock_folder(Path("run"))
        assert json.loads(Path("run/.lock").read_text())["pid"] == os.getpid()


def test_a_job_that_starts_again_leaves_other_folders_where_they_are(monkeypatch):
    """An export is refused as before, and a run folder is not moved for it."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with folder_locks():
        (claim_folder(Path("run"), restart=True) / "last.ckpt").write_text("")
        (claim_folder(Path("export")) / "generator.json").write_text("")
    assert Path("run/.lock").exists() and not Path("export/.lock").exists()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    for name in ("run", "export"):
        with pytest.raises(BadInput, match="is not empty"), folder_locks():
            claim_folder(Path(name))


@pytest.mark.parametrize("kind", ["text", "pipe"])
def test_another_program_s_lock_is_not_overwritten(kind):
    Path("run").mkdir()
    if kind == "text":
        Path("run/.lock").write_text("mine")
    else:
        os.mkfifo("run/.lock")
    with (
        pytest.raises(BadInput, match=r"run/\.lock is not a lock of this program, and is not overwritten"),
        folder_locks(),
    ):
        lock_folder(Path("run"))
    assert kind == "pipe" or Path("run/.lock").read_text() == "mine"


def test_a_copy_of_the_process_does_not_hold_the_lock_on():
    with folder_locks():
        claim_folder(Path("run"))
        descriptor = next(iter(lock._held.values()))
        child = os.fork()
        if child == 0:
            try:
                os.fstat(descriptor)
            except OSError:
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_slurm_job_that_is_started_again_finds_its_folder(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    runs = Path("runs")
    with folder_locks():
        for name, job in (("other", "8"), ("mine", "7"), ("empty", "7")):
            monkeypatch.setenv("SLURM_JOB_ID", job)
            claim_folder(runs / name, restart=True)
    for name in ("other", "mine"):
        (runs / name / "last.ckpt").write_bytes(b"")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert restarted_folder(None, runs) is None  # it runs for the first time
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert restarted_folder(None, runs) == runs / "mine"
    assert restarted_folder(runs / "mine", runs) == runs / "mine"
    assert restarted_folder(runs / "other", runs) is None
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    assert restarted_folder(None, runs) is None


def test_what_a_slurm_job_left_before_its_first_checkpoint_is_set_aside(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with folder_locks():
        (claim_folder(Path("run"), restart=True) / "config.yaml").write_text("first")
    with pytest.raises(BadInput, match="not empty"), folder_locks():
        claim_folder(Path("run"), restart=True)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with folder_locks():
        assert claim_folder(Path("run"), restart=True) == Path("run")
    assert Path("run.dead1/config.yaml").read_text() == "first"


def test_a_slurm_job_that_is_started_again_goes_on_whatever_it_resumes(monkeypatch):
    """The command names an older checkpoint, from which the job began the first time."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with folder_locks():
        claim_folder(Path("run"), restart=True)
    Path("run/last.ckpt").write_bytes(b"")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    monkeypatch.setattr(checkpoint_choice, "last_checkpoint", lambda folder, *_: folder / "last.ckpt")
    words = ["fit", "--ckpt_path", "old/last.ckpt", "--trainer.default_root_dir", "run"]
    assert checkpoint_choice.chosen_checkpoint(words, [], Path("runs")) == (Path("run"), Path("run/last.ckpt"))
    with pytest.raises(BadInput, match="not empty"), folder_locks():
        claim_folder(Path("run"), restart=True)
    assert not Path("run.dead1").exists()


def test_of_several_processes_the_first_looks_for_the_last_run(monkeypatch):
    words = ["fit", "--ckpt_path", "last"]
    monkeypatch.setenv(checkpoint_choice.FOUND, "")  # so that it is taken away again
    monkeypatch.setattr(checkpoint_choice, "last_checkpoint", lambda folder, *_: (folder or Path("a")) / "last.ckpt")
    assert checkpoint_choice.chosen_checkpoint(words, [], Path("runs"))[1] == Path("a/last.ckpt")
    monkeypatch.setattr(checkpoint_choice, "last_checkpoint", lambda folder, *_: Path("b/last.ckpt"))
    monkeypatch.setenv("LOCAL_RANK", "1")  # Lightning's first process has started this one
    assert checkpoint_choice.chosen_checkpoint(words, [], Path("runs"))[1] == Path("a/last.ckpt")
    monkeypatch.delenv("LOCAL_RANK")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(BadInput, match="name the run with --out FOLDER"):
        checkpoint_choice.chosen_checkpoint(words, [], Path("runs"))
    words += ["--trainer.default_root_dir", "b"]
    assert checkpoint_choice.chosen_checkpoint(words, [], Path("runs"))[1] == Path("b/last.ckpt")


def test_a_folder_without_a_step_is_removed_and_one_with_steps_is_not():
    for rows, error, stays in (
        ("step,fid\r\n0,9.0\r\n", RunStopped("stopped by SIGTERM", 143), False),
        ("step,d_loss\r\n50,8.0\r\n", RunStopped("stopped by SIGTERM", 143), True),
        ("step,fid\r\n", RunStopped("the loss became NaN"), True),
    ):
        with pytest.raises(RunStopped), folder_locks():
            folder = claim_folder(Path("run"))
            (folder / "samples").mkdir()
            (folder / "samples/step-000000.png").write_bytes(b"")
            (folder / "metrics.csv").write_text(rows)
            raise error
        assert folder.exists() == stays
        shutil.rmtree(folder, ignore_errors=True)


def test_the_folders_above_go_with_an_empty_one_and_no_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    for path in ("a/b/run", "there/c/run"):
        with pytest.raises(BadInput), folder_locks():
            claim_folder(Path(path))
            raise BadInput("refused")
    assert [entry.name for entry in Path().iterdir()] == ["there"] and not list(Path("there").iterdir())
