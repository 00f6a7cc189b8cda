"""A process and a folder for each case: forked, because importing torch costs more than most cases."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import NoReturn

from bad_input_cases.case import VERBS, Case, NotThisVersion

__all__ = ["Seen", "run_case"]

#: bytes of memory that a case may use beyond what was there
MEMORY = 6 * 2**30
#: the limit is of an idle machine: on a busy one it is so many times as long, and longer where torch is imported
MOST_BUSY, STARTING = 5.0, 2
#: status of a case whose function returned a wrong value, and of one that this version does not have
WRONG_VALUE, NOT_HERE = 70, 71


@dataclass
class Seen:
    """The result of a case.

    Attributes:
        status: exit status; None when it was killed at the limit.
        out: standard output.
        err: standard error.
        changed: files that were there and are not as they were.
        made: files and folders that were not there.
        code_ran: the canary has sung.
        holds: whether the case's own check is content.
        seconds: on the clock.
    """

    status: int | None
    out: str
    err: str
    changed: list[str]
    made: list[str]
    code_ran: bool
    holds: bool
    seconds: float


def run_case(case: Case, assets: Path, limit: float) -> Seen | None:
    """Run a case in a forked process and a new folder; None for one that this version does not have."""
    root = Path(tempfile.mkdtemp(prefix="bad-input-"))
    try:
        work = root / "work"
        for name in ("work", "tmp", "cache"):
            (root / name).mkdir()
        named = {word.split("/")[0] for word in case.words}
        for asset in assets.iterdir():
            if asset.name in case.needs or asset.name == "canary.py" or asset.name in named:
                target = root / "code" / asset.name if asset.name == "canary.py" else work / asset.name
                target.parent.mkdir(exist_ok=True)
                shutil.copytree(asset, target, symlinks=True) if asset.is_dir() else shutil.copy(asset, target)
        shutil.copytree(assets / "cache", root / "cache", dirs_exist_ok=True)
        start = time.monotonic()
        if case.prepare is not None and _fork(case, root, case.prepare, "prepare", limit) != 0:
            if "NotThisVersion" in (root / "prepare.err").read_text():
                return None
            raise RuntimeError(f"{case.title}: preparing failed\n{(root / 'prepare.err').read_text()}")
        before = snapshot(work)
        (root / "canary").unlink(missing_ok=True)
        status = _fork(case, root, case.run, "run", limit)
        seconds = time.monotonic() - start
        out, err = ((root / f"run.{name}").read_text(errors="replace") for name in ("out", "err"))
        if status == NOT_HERE:
            return None
        after = snapshot(work)
        holds = case.holds is None or _fork(case, root, lambda: _assert(case), "holds", limit) == 0
        return Seen(
            status,
            out,
            err,
            sorted(path for path, content in before.items() if after.get(path) != content),
            sorted(path for path in after if path not in before),
            (root / "canary").exists(),
            holds,
            seconds,
        )
    finally:
        subdue(root)
        shutil.rmtree(root, ignore_errors=True)


def subdue(root: Path) -> None:
    """Give back the permissions that a case has taken, so that its folder can be removed."""
    for parent, folders, _ in os.walk(root):
        for path in (os.path.join(parent, name) for name in folders):  # noqa: PTH118 - names need not be UTF-8
            if not os.path.islink(path):  # noqa: PTH114
                os.chmod(path, 0o700)  # noqa: PTH101


def snapshot(folder: Path) -> dict[str, str]:
    """Every file, folder and link below a folder, with its content's hash; only regular files are opened."""
    found = {}
    for parent, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = os.path.join(parent, name)  # noqa: PTH118 - names need not be UTF-8
            mode = os.lstat(path).st_mode
            if S_ISREG(mode):
                with open(path, "rb") as file:  # noqa: PTH123
                    content = hashlib.file_digest(file, "sha256").hexdigest()
            else:
                content = "link" if S_ISLNK(mode) else "folder" if S_ISDIR(mode) else "special"
            found[os.path.relpath(path, folder).encode(errors="surrogateescape").decode(errors="replace")] = content
    return found


def _assert(case: Case) -> None:
    assert case.holds is None or case.holds()


def _fork(case: Case, root: Path, action: object, stage: str, limit: float) -> int | None:
    """Run an action in its own process group; return its exit status, or None after the limit."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _child(case, root, action, stage)
    with contextlib.suppress(OSError):
        os.setpgid(child, child)
    busy = min(MOST_BUSY, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))
    end = time.monotonic() + limit * busy * (STARTING if case.process else 1)
    status: int | None = None
    while time.monotonic() < end:
        done, code = os.waitpid(child, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(code)
            break
        time.sleep(0.01)
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)  # the case, and whatever it has started
    if status is None:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
    return status


def _child(case: Case, root: Path, action: object, stage: str) -> NoReturn:
    status = 1
    try:
        os.setpgid(0, 0)
        for number, name in ((1, "out"), (2, "err")):
            file = os.open(root / f"{stage}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
        os.chdir(root / "work")
        tempfile.tempdir = str(root / "tmp")
        os.environ |= {
            "XDG_CACHE_HOME": str(root / "cache"),
            "HOME": str(root / "tmp"),
            "TMPDIR": str(root / "tmp"),
            "CANARY": str(root / "canary"),
            "COLUMNS": "200",
            "CUDA_VISIBLE_DEVICES": "",  # cases that ask for a GPU ask for one that is not there
        }
        os.environ |= case.env if stage == "run" else {}
        sys.path.insert(0, str(root / "code"))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        sys.argv = [str(_program(case)), *case.words]
        if stage == "run" and case.process:
            _exec(case, root)
        action()  # type: ignore[operator]
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except NotThisVersion as error:
        print("NotThisVersion", error, file=sys.stderr)
        status = NOT_HERE
    except AssertionError as error:
        ours = _innermost(error).startswith(str(Path(__file__).parent))
        traceback.print_exc() if not ours else print(f"wrong value: {error!r:.300}", file=sys.stderr)
        status = WRONG_VALUE if ours else 1
    except BaseException as error:
        status = _report(error, case)
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _program(case: Case) -> Path:
    """Return the file that a user would have started. Lightning starts it again for further processes."""
    import gan_convnorm

    folder = Path(gan_convnorm.__file__).parent
    own = folder / case.command / "__main__.py"
    return own if own.is_file() else folder / "__main__.py"


def _innermost(error: BaseException) -> str:
    return traceback.extract_tb(error.__traceback__)[-1].filename


def _report(error: BaseException, case: Case) -> int:
    """Print the traceback, or the line of a refusal where a function was called.

    torch's own exceptions are as good as a `BadInput` there when they name what is wrong: a layer is torch's drop-in.
    """
    from gan_convnorm.errors import BadInput, RunStopped

    if case.command not in VERBS:
        named = bool(case.says and re.search(case.says, str(error), re.IGNORECASE))
        torchs = isinstance(error, (ValueError, TypeError, RuntimeError, IndexError)) and named
        if isinstance(error, (BadInput, RunStopped)) or torchs:
            print(f"error: {error}", file=sys.stderr)
            return getattr(error, "status", 2)
    traceback.print_exc()
    return 1


def _exec(case: Case, root: Path) -> NoReturn:
    """Replace this process by the program, for cases about environment variables."""
    import gan_convnorm

    package = str(Path(gan_convnorm.__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root / "code"), package])
    os.execv(sys.executable, [sys.executable, "-m", "gan_convnorm", *case.words])
