import errno
import os
from pathlib import Path

import pytest

from gan_convnorm.cli.compare import main
from gan_convnorm.errors import BadInput, RunStopped, one_line_errors, status_and_line


def wrapped() -> Exception:
    try:
        raise TypeError("from the parser") from BadInput("--width is 0;\n expected 1 or more")
    except TypeError as error:
        return error


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (BadInput("there is no a.png"), 2, "there is no a.png"),
        (wrapped(), 2, "--width is 0; expected 1 or more"),
        (RunStopped("SIGTERM at step 3", 143), 143, "SIGTERM at step 3"),
        (
            OSError(errno.ENOSPC, "No space left on device", "a.png"),
            1,
            "a.png cannot be written (No space left on device)",
        ),
    ],
)
def test_what_a_person_can_mend_is_a_line(error, status, line, capsys):
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise error
    assert ended.value.code == status
    assert capsys.readouterr().err == f"error: {line}\n"


def test_a_defect_keeps_its_traceback():
    with pytest.raises(FileNotFoundError), one_line_errors():
        Path("nowhere/a.png").read_bytes()


def test_programs_end_so(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "nowhere")])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: there is no run folder")


def test_a_killed_loader_s_worker_is_one_line():
    error = RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed. ")
    status, line = status_and_line(error)
    assert status == 1 and "DataLoader worker (pid 12) is killed by signal: Killed)" in line
    assert status_and_line(RuntimeError("something else")) is None


def test_ctrl_c_is_one_line_and_a_reader_that_is_gone_is_none(capsys, monkeypatch):
    with pytest.raises(SystemExit) as stop, one_line_errors():
        raise KeyboardInterrupt
    assert stop.value.code == 130 and capsys.readouterr().err == "error: stopped by SIGINT\n"
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w")
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setattr("sys.stderr", None)
    with pytest.raises(SystemExit) as stop, one_line_errors():
        print("a line", flush=True)
    assert stop.value.code == 141
    stream.close()  # what it still held is dropped
