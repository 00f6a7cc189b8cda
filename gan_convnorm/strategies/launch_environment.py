"""Environment variables by which launchers tell a process its place among several."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gan_convnorm.errors import BadInput

__all__ = ["check_launch_environment"]

#: SLURM's names for a shell without tasks of its own, in which Lightning ignores the other variables
INTERACTIVE = ("bash", "interactive")
HERE = ("localhost", "127.0.0.1", "::1", "0.0.0.0")


def check_launch_environment(devices: int | None, num_nodes: int, environment: Mapping[str, str] | None = None) -> None:
    """Refuse variables of torchrun, SLURM or Lightning that do not fit the run, as another job leaves them behind.

    >>> check_launch_environment(1, 1, {"RANK": "one"})
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: RANK is 'one'; expected a whole number; unset RANK where another job has left it

    Lightning takes a process with LOCAL_RANK=1 for the second of several and lets it write nothing, waits for the
    processes that SLURM_NTASKS promises, and connects to MASTER_ADDR.

    Args:
        devices: of one machine; None where the machine decides.
        num_nodes: machines.
        environment: the variables; this process's by default.

    Raises:
        BadInput: a variable that contradicts the others or the number of processes.
    """
    found = dict(os.environ if environment is None else environment)
    numbers: dict[str, int] = {
        name: _number(name, found[name])
        for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "WORLD_SIZE", "MASTER_PORT", "SLURM_NTASKS")
        if name in found
    }
    processes = None if devices is None else devices * num_nodes
    flags = "--devices and --num-nodes ask for " + ("all devices" if processes is None else f"{processes}")
    if "TORCHELASTIC_RUN_ID" in found:  # torchrun, also within a SLURM job
        _need(found, "TORCHELASTIC_RUN_ID", "RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        _agree("WORLD_SIZE", numbers["WORLD_SIZE"], processes, flags)
    elif "SLURM_NTASKS" in found and found.get("SLURM_JOB_NAME") not in INTERACTIVE:
        tasks = numbers["SLURM_NTASKS"]
        _agree("SLURM_NTASKS", tasks, processes, flags, "start the program with srun, or run it in a job of one task")
        if tasks > 1:
            _need(found, "SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID")
    elif "LOCAL_RANK" in found and (numbers["LOCAL_RANK"] > 0 or processes != 1):
        _need(found, "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        _agree("WORLD_SIZE", numbers["WORLD_SIZE"], processes, flags)
        if devices is not None and numbers["LOCAL_RANK"] >= devices:
            raise BadInput(
                f"LOCAL_RANK is {numbers['LOCAL_RANK']}, and a machine has {devices} processes (--devices); "
                + _unset("LOCAL_RANK")
            )
    else:
        _check_own_launch(found, numbers, num_nodes, processes, flags)


def _check_own_launch(
    found: dict[str, str], numbers: dict[str, int], num_nodes: int, processes: int | None, flags: str
) -> None:
    """Check a process that starts the others of its machine itself, or that is the only one."""
    if numbers.get("RANK", 0) > 0:
        raise BadInput(f"RANK is {numbers['RANK']}, and nothing else tells of a launcher; {_unset('RANK')}")
    if int(found.get("SLURM_PROCID", 0) or 0) > 0 and "SLURM_NTASKS" not in found:
        raise BadInput(f"SLURM_PROCID is {found['SLURM_PROCID']} without SLURM_NTASKS; {_unset('SLURM_PROCID')}")
    if num_nodes == 1:
        for name in ("NODE_RANK", "GROUP_RANK"):
            if numbers.get(name, 0) > 0:
                raise BadInput(f"{name} is {numbers[name]}, and --num-nodes is 1; {_unset(name)}")
        if processes == 1:
            if numbers.get("WORLD_SIZE", 1) != 1:
                _agree("WORLD_SIZE", numbers["WORLD_SIZE"], processes, flags)
        elif (address := found.get("MASTER_ADDR", HERE[0])) not in HERE:
            raise BadInput(f"MASTER_ADDR is {address}, and --num-nodes is 1; {_unset('MASTER_ADDR')}")
    elif "MASTER_ADDR" not in found or "MASTER_PORT" not in found or "NODE_RANK" not in found:
        raise BadInput(
            f"--num-nodes is {num_nodes}, and MASTER_ADDR, MASTER_PORT or NODE_RANK is not set; start the program on "
            "every machine with torchrun or srun (docs/training.md)"
        )


def _number(name: str, text: str) -> int:
    if not text.strip().isdigit():
        raise BadInput(f"{name} is {text!r}; expected a whole number; {_unset(name)}")
    return int(text)


def _need(found: dict[str, str], given: str, *names: str) -> None:
    missing = [name for name in names if name not in found]
    if missing:
        raise BadInput(
            f"{given} is {found[given]}, and not set: {', '.join(missing)}; start the program with torchrun or "
            f"srun, or {_unset(given)}"
        )


def _agree(name: str, value: int, processes: int | None, flags: str, hint: str = "make them agree") -> None:
    if processes is not None and value != processes:
        raise BadInput(f"{name} is {value}, and {flags}; {hint}, or {_unset(name)}")


def _unset(name: str) -> str:
    return f"unset {name} where another job has left it"
