"""Settings that this package's programs make before torch is imported; an imported package makes none of them.

torch's OpenMP threads wait for the next parallel region by spinning. On idle cores that saves a little. When another
process wants a core, spinning threads keep working threads from it, and a training step takes several times as long
(docs/results/busy_cores.md). A short wait is as fast on idle cores. libgomp reads its setting when it is loaded, so the
variable must be set before torch is imported. Child processes inherit it.

glibc gives large blocks back to the system as soon as they are freed. The next step asks for them again, and the system
clears every page. A process that keeps them saves 2 to 15% of a step (docs/results/kept_memory.md).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import PurePath

__all__ = ["check_ranks", "is_first", "is_program", "keep_freed_memory", "prepare", "spin_briefly"]

#: rounds of a waiting thread's loop before it sleeps; libgomp's own default is 300,000
SPIN_COUNT = "10000"
#: parameters of glibc's mallopt (malloc.h), and the values that let a process keep what it frees
KEEP = {-4: 0, -1: 2**31 - 1}  # M_MMAP_MAX: no block by mmap; M_TRIM_THRESHOLD: bytes, the largest that there is
SCRIPTS = ("train_gan.py", "gan-convnorm", "gan-convnorm.exe")
#: variables that Lightning reads as numbers when it is imported
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")


def is_program(words: Sequence[str]) -> bool:
    """Return True if an interpreter's command line starts a program of this package.

    >>> is_program(["python", "-m", "gan_convnorm", "fit"]), is_program(["python", "mine.py"])
    (True, False)

    Args:
        words: `sys.orig_argv`.
    """
    rest = iter(words[1:])
    for word in rest:
        if word.startswith("-m"):
            module = word[2:] or next(rest, "")
            return module.partition(".")[0] == "gan_convnorm"
        if word in ("-X", "-W"):
            next(rest, None)
        elif not word.startswith("-"):
            return PurePath(word).name in SCRIPTS
        elif word.startswith("-c"):
            return False
    return False


def spin_briefly(environment: MutableMapping[str, str]) -> None:
    """Let idle OpenMP threads sleep soon, unless the environment already says how they wait.

    >>> environment = {}
    >>> spin_briefly(environment)
    >>> environment
    {'GOMP_SPINCOUNT': '10000'}
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & environment.keys():
        environment["GOMP_SPINCOUNT"] = SPIN_COUNT


def keep_freed_memory(environment: Mapping[str, str]) -> bool:
    """Let this process keep freed memory for its next step, unless the environment tunes malloc.

    Args:
        environment: `os.environ`.

    Returns:
        True if malloc took the setting. Only glibc's has it.

    >>> keep_freed_memory({"MALLOC_TRIM_THRESHOLD_": "131072"})
    False
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in environment):
        return False
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library, or none by this name
        mallopt = ctypes.CDLL(None).mallopt
        return all(mallopt(parameter, value) for parameter, value in KEEP.items())
    return False


def check_ranks(environment: MutableMapping[str, str]) -> None:
    """End the program if a rank is not a number, for which Lightning would show a traceback.

    >>> check_ranks({"RANK": "1"})

    Raises:
        SystemExit: status 2, after one line.
    """
    for name in RANKS:
        if name in environment and not environment[name].strip().isdigit():
            print(
                f"error: {name} is {environment[name]!r}; expected a whole number; unset {name} where another job has "
                "left it",
                file=sys.stderr,
            )
            raise SystemExit(2)


def is_first(environment: Mapping[str, str]) -> bool:
    """Return True in the first of the processes that a launcher started, and in one alone, as Lightning counts them.

    >>> is_first({}), is_first({"SLURM_PROCID": "3"})
    (True, False)
    """
    return next((environment[name] for name in RANKS if name in environment), "0").strip() == "0"


def prepare() -> None:
    """Check the ranks and set how threads wait and what malloc keeps, if this process runs a program of this package.

    >>> prepare()  # here it does nothing: no program of this package was started
    """
    if is_program(sys.orig_argv):
        check_ranks(os.environ)
        spin_briefly(os.environ)
        keep_freed_memory(os.environ)
