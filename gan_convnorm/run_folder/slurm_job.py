"""A run in a SLURM job that may be stopped and started again with the same command."""

from __future__ import annotations

import os
import subprocess

__all__ = ["is_restarted_job", "requeue_in_words", "slurm_job"]


def slurm_job() -> str | None:
    """Return the job's number, ARRAY_TASK in a job array; None outside of SLURM.

    >>> slurm_job() is None  # outside of SLURM
    True
    """
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID") or None


def is_restarted_job() -> bool:
    """Return True if SLURM has started this job before: after preemption, a failed node, or a request.

    >>> is_restarted_job()  # outside of SLURM
    False
    """
    return slurm_job() is not None and os.environ.get("SLURM_RESTART_COUNT", "0").strip() not in ("", "0")


def requeue_in_words() -> tuple[bool, str]:
    """Ask SLURM to start this job again when it has ended.

    Returns:
        True if it will, and the words that say so, or why not.

    >>> requeue_in_words()
    (False, 'SLURM does not start job None again (there is no SLURM job)')
    """
    job = slurm_job()
    if job is None:
        refused = "there is no SLURM job"
    else:
        try:
            done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            refused = f"scontrol cannot be run: {error}"
        else:
            if done.returncode == 0:
                return True, f"SLURM starts job {job} again"
            refused = " ".join((done.stderr or done.stdout).split()) or f"scontrol ended with {done.returncode}"
    return False, f"SLURM does not start job {job} again ({refused})"
