"""Peak memory of a generator step, by network, normalization, batch and micro-batches.

    python benchmarks/memory.py
    python benchmarks/memory.py --device cuda --batches 64,256
    python benchmarks/memory.py --networks 32 --batches 4 --accumulate 1,2 --width 0.1   # smoke

Each row is a fresh process that trains two generator steps on random bytes with n_dis 1: the second has the optimizers'
moments. On the CPU the peak is the process's largest resident size (getrusage), less its size before networks are
built; on a GPU it is torch.cuda.max_memory_allocated, which counts tensors alone.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from importlib.metadata import version

import pytorch_lightning as pl
import torch
from torch.utils.data import TensorDataset

from gan_convnorm.data import ImageData
from gan_convnorm.gan import GAN, Architecture, Optimization

MIB = 2**20


class RandomImages(ImageData):
    """Random bytes, one batch of them."""

    name = "random"

    def __init__(self, resolution: int, batch_size: int) -> None:
        super().__init__(resolution, channels=3, num_classes=None, batch_size=batch_size, seed=0)
        images = torch.randint(256, (batch_size, 3, resolution, resolution), dtype=torch.uint8)
        self.train_set, self.test_set = TensorDataset(images), None


def resident() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(device: str, resolution: int, norm: str, batch: int, accumulate: int, width: float) -> float:
    """Return the peak of this process in MiB."""
    before = resident()
    gan = GAN(
        resolution=resolution,
        channels=3,
        architecture=Architecture(width=width, disc_norm=norm),
        optimization=Optimization(steps=2, accumulate=accumulate),
    )
    trainer = pl.Trainer(
        max_epochs=-1,
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(gan, RandomImages(resolution, batch))
    assert gan.g_step == 2
    return (torch.cuda.max_memory_allocated() if device == "cuda" else resident() - before) / MIB


def in_fresh_process(case: dict[str, object]) -> float | None:
    """Return the peak of a process of its own in MiB, or None where the memory did not suffice."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--case", json.dumps(case)], capture_output=True, text=True
    )
    if done.returncode:
        if done.returncode == -9 or "out of memory" in done.stderr:
            return None
        raise SystemExit(done.stderr)
    return float(done.stdout.splitlines()[-1])


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--networks", default="32,64,128", help="resolutions of SNGAN")
    parser.add_argument("--norms", default="spectral,convnorm")
    parser.add_argument("--batches", default="16,64")
    parser.add_argument("--accumulate", default="1,4")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.case:
        print(measure(**given.case))
        return
    numbers = {
        name: [int(n) for n in getattr(given, name).split(",")] for name in ("networks", "batches", "accumulate")
    }
    chip = torch.cuda.get_device_name() if given.device == "cuda" else platform.machine()
    print(f"{given.device} ({chip}), torch {version('torch')}, peak in MiB, n = 1, width {given.width:g}\n")
    columns = [f"accumulate {n}" for n in numbers["accumulate"]]
    print("| network | discriminator | batch | " + " | ".join(columns) + " |\n|---|---|---|" + "---|" * len(columns))
    for resolution in numbers["networks"]:
        for norm in given.norms.split(","):
            for batch in numbers["batches"]:
                case = {"device": given.device, "resolution": resolution, "norm": norm, "batch": batch}
                found = [
                    in_fresh_process({**case, "accumulate": n, "width": given.width}) for n in numbers["accumulate"]
                ]
                cells = ["out of memory" if peak is None else f"{peak:,.0f}" for peak in found]
                print(f"| sngan {resolution} | {norm} | {batch} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
