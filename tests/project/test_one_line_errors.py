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


#: torch's own text for an operation that it does not have on Apple's GPU, of torch 2.6 and later and of earlier ones
MISSING = [
    "The operator 'aten::_fft_r2c' is not currently implemented for the MPS device. If you want this op to be "
    "considered for addition please comment on https://github.com/pytorch/pytorch/issues/141287 and mention use- "
    "case, that resulted in missing op as well as commit hash 2236df1770800ffea5697b11b0bb0d910b2e59e1. As a "
    "temporary fix, you can set the environment variable `PYTORCH_ENABLE_MPS_FALLBACK=1` to use the CPU as a "
    "fallback for this op. WARNING: this will be slower than running natively on MPS.",
    "The operator 'aten::_fft_r2c' is not currently implemented for the MPS device. If you want this op to be "
    "added in priority during the prototype phase of this feature, please comment on "
    "https://github.com/pytorch/pytorch/issues/77764. As a temporary fix, you can set the environment variable "
    "`PYTORCH_ENABLE_MPS_FALLBACK=1` to use the CPU as a fallback for this op. WARNING: this will be slower than "
    "running natively on MPS.",
]


@pytest.mark.parametrize("said", MISSING)
def test_an_operation_that_apple_s_gpu_does_not_have_is_one_line(said, capsys):
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise NotImplementedError(said)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "(mps) cannot compute the operation aten::_fft_r2c;" in line
    assert "PYTORCH_ENABLE_MPS_FALLBACK=1, which computes it on the CPU, or with --accelerator cpu" in line


def test_float64_on_apple_s_gpu_is_one_line():
    said = (
        "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. Please use float32 "
        "instead."
    )
    status, line = status_and_line(TypeError(said))
    assert status == 2 and "has no float64" in line and line.endswith("--accelerator cpu")
    for defect in (
        TypeError("float64 it is"),
        NotImplementedError("The operator 'aten::x' is not here"),
        RuntimeError(said),
    ):
        assert status_and_line(defect) is None


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
