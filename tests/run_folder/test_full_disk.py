"""A full disk or a deleted folder ends a run in one line and damages no checkpoint."""

import errno
import os
import shutil
from pathlib import Path

import pytest
import torch
from whole_runs import WORDS, assert_same_run

from gan_convnorm.cli import main
from gan_convnorm.run_folder import MetricsFile

pytestmark = pytest.mark.usefixtures("working_folder")


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
    assert f"cannot be written ({os.strerror(number)}" in err and "--resume run/" in err
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
