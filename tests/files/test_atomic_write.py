"""Files are whole or not there, nothing foreign is replaced, and what a kill leaves goes at the next start."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import platformdirs
import pytest

from gan_convnorm.errors import BadInput
from gan_convnorm.files import cache_folder as cache_module
from gan_convnorm.files.atomic_write import atomic_write, check_replaceable, remove_dead_parts
from gan_convnorm.files.cache_folder import cache_folder, temporary_folder
from gan_convnorm.files.part_files import part_path, process_name

KILLED = Path(__file__).with_name("killed_writer.py")


def parts(folder):
    return sorted(path.name for path in folder.rglob("*.part"))


def dead_process_name():
    process = subprocess.Popen(["true"])
    process.wait()
    return process_name().replace(str(os.getpid()), str(process.pid))


def test_the_part_of_a_killed_process_goes_and_the_file_stays(tmp_path):
    path = tmp_path / "inner" / "last.ckpt"
    path.parent.mkdir()
    path.write_bytes(b"whole")
    status = subprocess.run([sys.executable, str(KILLED), str(path)]).returncode
    assert status == -signal.SIGKILL
    assert len(parts(tmp_path)) == 1
    remove_dead_parts(tmp_path)
    assert parts(tmp_path) == []
    assert path.read_bytes() == b"whole"


def test_the_part_of_a_living_process_stays(tmp_path):
    with atomic_write(tmp_path / "a") as part:
        part.write_text("new")
        remove_dead_parts(tmp_path)
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize("process", ["0123abcd-1", f"0123abcd-{2**70}"])
def test_parts_of_unknown_processes_go_after_a_day(tmp_path, process):
    part = tmp_path / f".summary.json.{process}.part"
    part.write_text("")
    remove_dead_parts(tmp_path)
    assert part.exists()
    os.utime(part, (time.time() - 25 * 3600,) * 2)
    remove_dead_parts(tmp_path)
    assert not part.exists()


@pytest.mark.parametrize(
    "name", ["data.part", ".hidden.part", ".clip.4194304.part", "movie.0123abcd-1.part", ".a.b.parts"]
)
def test_files_of_others_stay_however_old(tmp_path, name):
    path = tmp_path / name
    path.write_text("")
    os.utime(path, (0, 0))
    remove_dead_parts(tmp_path)
    assert path.exists()


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    old = elsewhere / ".a.0123abcd-1.part"
    old.write_text("")
    os.utime(old, (0, 0))
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(elsewhere)
    remove_dead_parts(inside)
    assert old.exists()


def test_two_containers_with_one_host_name_are_told_apart(tmp_path, monkeypatch):
    """A container counts its processes anew, so a number that is dead here may live there."""
    from gan_convnorm.files import part_files as module

    here = dead_process_name()
    monkeypatch.setattr(Path, "readlink", lambda path: "pid:[1]")
    module._home.cache_clear()
    try:
        part = tmp_path / f".a.{here}.part"
        part.write_text("")
        remove_dead_parts(tmp_path)
        assert part.exists()
    finally:
        monkeypatch.undo()
        module._home.cache_clear()


def test_the_cache_folder_loses_dead_parts(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "gan_convnorm"
    folder.mkdir()
    (folder / f".features.pt.{dead_process_name()}.part").write_bytes(b"half")
    living = part_path(folder / "other.pt")
    living.write_bytes(b"half")
    (folder / "kept.pt").write_bytes(b"")
    assert cache_folder() == folder
    assert {path.name for path in folder.iterdir()} == {living.name, "kept.pt"}


def test_the_cache_folder_is_the_systems_where_no_variable_names_one(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name, appauthor: tmp_path / name)
    assert cache_folder() == tmp_path / "gan_convnorm"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache_module._temporary_folder.cache_clear()
    yield tmp_path
    cache_module._temporary_folder.cache_clear()


def test_a_process_has_one_temporary_folder(temporary, monkeypatch):
    blocked = temporary / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    with pytest.warns(UserWarning, match="cannot be written"):
        first = cache_folder()
    with pytest.warns(UserWarning, match="cannot be written"):
        assert cache_folder() == first == temporary_folder()
    assert stat.S_IMODE(first.stat().st_mode) == 0o700


def test_the_temporary_folder_of_a_killed_process_goes(temporary):
    dead = temporary / f"gan_convnorm-{dead_process_name()}-abc"
    dead.mkdir()
    (dead / "classifier.pt").write_bytes(b"")
    living = temporary / f"gan_convnorm-{process_name()}-abc"
    living.mkdir()
    link = temporary / f"gan_convnorm-{dead_process_name()}-link"
    link.symlink_to(living)
    temporary_folder()
    assert not dead.exists()
    assert living.exists()
    assert link.is_symlink()


def test_weights_that_the_cache_cannot_keep_lie_in_the_temporary_folder(temporary, digits, monkeypatch):
    from gan_convnorm.fidelity import classifier

    monkeypatch.setattr(classifier, "read_cached", lambda path: None)
    monkeypatch.setattr(classifier, "write_cached", lambda path, content: False)

    class Trained:
        shape = (1, 16, 16)

        def cpu(self):
            return self

        def state_dict(self):
            return {}

    monkeypatch.setattr(classifier, "train_classifier", lambda images, labels, device: (Trained(), {}))
    images, labels = digits.train_set.tensors
    assert classifier.trained_weights(images, labels).parent == temporary_folder()


def is_ours(path: Path) -> bool:
    return path.read_text(encoding="utf-8").startswith("ours")


@pytest.mark.parametrize("content", [None, b"ours and older"])
def test_a_new_file_and_our_own_may_be_written(tmp_path, content):
    path = tmp_path / "page.html"
    if content is not None:
        path.write_bytes(content)
    check_replaceable(path, is_ours, overwrite=False)


@pytest.mark.parametrize("content", [b"theirs", b"\xff\xfe", b""])
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "best.ckpt"
    path.write_bytes(content)
    with pytest.raises(BadInput) as found:
        check_replaceable(path, is_ours, overwrite=False)
    assert str(found.value) == (
        f"{path} exists and was not written by this command; give another name, or --overwrite to replace it"
    )
    check_replaceable(path, is_ours, overwrite=True)


def test_a_dead_link_is_refused(tmp_path):
    path = tmp_path / "page.html"
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="not written by this command"):
        check_replaceable(path, is_ours, overwrite=False)


@pytest.mark.parametrize("kind", ["folder", "fifo", "socket", "device"])
def test_what_is_no_file_is_refused_also_with_overwrite(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's address is short
    path = Path("thing") if kind != "device" else Path("/dev/null")
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(str(path))
    with pytest.raises(BadInput, match="give the name of a file"):
        check_replaceable(path, is_ours, overwrite=True)
