"""Name the hardware, the versions and the commit of a measurement."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def environment(device: str) -> dict[str, Any]:
    """Return the hardware, its instructions and threads (of a CPU), versions and commit."""
    hardware: dict[str, Any] = {"hardware": torch.cuda.get_device_name()} if device == "cuda" else _cpu()
    packages = {name: version(name) for name in ("torch", "torchvision", "pytorch-lightning")}
    command = ["git", "describe", "--always", "--dirty"]
    git = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    return {**hardware, "python": platform.python_version(), **packages, "commit": git.stdout.strip()}


def in_words(found: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in found.items())


def _cpu() -> dict[str, Any]:
    instructions, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return {"hardware": f"{_processor()}, {os.cpu_count()} cores", "instructions": instructions, "threads": threads}


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
