"""Memory of a generator step, by network, normalization, precision, batch and micro-batches.

    python benchmarks/memory.py
    python benchmarks/memory.py --networks sngan:128 --batches 256 --norms convnorm --accumulate 8
    python benchmarks/memory.py --networks sngan:32 --batches 16,64 --measure
    python benchmarks/memory.py --device cuda --batches 64,256 --measure

The first three numbers are counted on tensors without memory (torch's FakeTensorMode), in seconds, for any size:

- state: both networks and the generator's average, their gradients and Adam's moments. No batch changes it.
- saved: what autograd keeps for a backward, at its most: the larger of the discriminator's and the generator's. A
  storage counts once, and weights do not count.
- each image: how much of saved one more image takes. Micro-batches save as much as a batch of their size.

`--measure` adds the peak of a fresh process for every row, which trains two generator steps on random bytes with n_dis
1: the second has the moments. On the CPU it is the largest resident size (getrusage), less the size before networks are
built; on a GPU torch.cuda.max_memory_allocated, which counts tensors alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path

import pytorch_lightning as pl
import torch
from environment import environment, in_words
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.data import TensorDataset

from gan_convnorm.data import ImageData
from gan_convnorm.gan import GAN, Architecture, Optimization

MIB = 2**20


@dataclass(frozen=True)
class Case:
    """One row."""

    network: str
    resolution: int
    norm: str
    precision: str
    batch: int
    accumulate: int
    width: float
    device: str

    def architecture(self) -> Architecture:
        """Return the networks."""
        return Architecture(network=self.network, width=self.width, disc_norm=self.norm)


class SavedTensors(torch.autograd.graph.saved_tensors_hooks):
    """Count the bytes of the tensors that autograd keeps, each storage once, without those of some."""

    def __init__(self, without: list[Tensor]) -> None:
        self.bytes = 0
        # Held, so that no later storage takes the place of one that was freed.
        seen = {tensor.untyped_storage()._cdata: tensor for tensor in without}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage._cdata not in seen:
                self.bytes += storage.nbytes()
                seen[storage._cdata] = tensor
            return tensor

        super().__init__(keep, lambda tensor: tensor)


FAKE = FakeTensorMode()


@cache
def count(case: Case) -> tuple[float, float]:
    """Return state and saved in MiB, of a step with one micro-batch."""
    with FAKE:
        chosen, objective = case.architecture(), Optimization().objective()
        generator, discriminator = (make(case.resolution, 3, None) for make in (chosen.generator, chosen.discriminator))
        weights = [*generator.parameters(), *discriminator.parameters()]
        # Weights, gradients and two moments; and the average.
        state = 4 * bytes_of(weights) + bytes_of(generator.parameters())
        state += bytes_of(discriminator.buffers()) + 2 * bytes_of(generator.buffers())
        real, rows = torch.empty(case.batch, 3, case.resolution, case.resolution), slice(0, case.batch)
        rng, latents = torch.Generator(), torch.empty(case.batch, chosen.latent_dim)
        half = torch.autocast("cpu", torch.bfloat16, enabled=case.precision == "bf16-mixed")
        of_discriminator, of_generator = SavedTensors(weights), SavedTensors(weights)
        with half, torch.no_grad():
            fake = generator(latents)
        with half, of_discriminator:
            objective.discriminator_loss(discriminator, real, fake, None, None, rng, rows)
        discriminator.requires_grad_(False)
        with half, of_generator:
            objective.generator_loss(discriminator, generator(latents), None, real, None, rng, 0, case.batch)
    return state / MIB, max(of_discriminator.bytes, of_generator.bytes) / MIB


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of tensors."""
    return sum(tensor.nbytes for tensor in tensors)


class RandomImages(ImageData):
    """Random bytes, one batch of them."""

    name = "random"

    def __init__(self, resolution: int, batch_size: int) -> None:
        super().__init__(resolution, channels=3, num_classes=None, batch_size=batch_size, seed=0)
        images = torch.randint(256, (batch_size, 3, resolution, resolution), dtype=torch.uint8)
        self.train_set, self.test_set = TensorDataset(images), None


def resident(field: str) -> int:
    """Return this process's resident size in bytes, VmRSS now or VmHWM at most.

    From the kernel: getrusage's peak is that of the parent, too.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


def measure(case: Case) -> float:
    """Return the peak of this process in MiB."""
    before = resident("VmRSS")
    gan = GAN(
        resolution=case.resolution,
        channels=3,
        architecture=case.architecture(),
        optimization=Optimization(steps=2, accumulate=case.accumulate),
    )
    trainer = pl.Trainer(
        max_epochs=-1,
        accelerator="gpu" if case.device == "cuda" else "cpu",
        devices=1,
        precision=case.precision,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(gan, RandomImages(case.resolution, case.batch))
    assert gan.g_step == 2
    return (torch.cuda.max_memory_allocated() if case.device == "cuda" else resident("VmHWM") - before) / MIB


def in_fresh_process(case: Case) -> str:
    """Return the peak of a process of its own, as a cell of the table."""
    words = [sys.executable, "-W", "ignore", __file__, "--case", json.dumps(vars(case))]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode == -9 or "out of memory" in done.stderr:
        return "out of memory"
    if done.returncode:
        raise SystemExit(done.stderr)
    return f"{float(done.stdout.splitlines()[-1]):,.0f}"


def row(cases: list[Case], *, measured: bool) -> str:
    """Return the table's row of cases that differ in `accumulate`."""
    first = cases[0]
    (state, saved), (_, more) = count(first), count(replace(first, batch=first.batch + 1))
    cells = [f"{first.network} {first.resolution}", first.norm, first.precision, str(first.batch)]
    cells += [f"{state:,.0f}", f"{more - saved:.2f}"]
    for case in cases:
        # The largest micro-batch.
        cells.append(f"{count(replace(case, batch=-(-case.batch // case.accumulate), accumulate=1))[1]:,.0f}")
        cells += [in_fresh_process(case)] if measured else []
    return f"| {' | '.join(cells)} |"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="sngan:32,sngan:64,sngan:128,dcgan:32,dcgan:64,dcgan:128")
    parser.add_argument("--norms", default="spectral,convnorm")
    parser.add_argument("--precisions", default="32-true,bf16-mixed")
    parser.add_argument("--batches", default="16,64")
    parser.add_argument("--accumulate", default="1,4")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--measure", action="store_true", help="also train, and give the peak")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="of --measure")
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.case:
        print(measure(Case(**given.case)))
        return
    numbers = [int(n) for n in given.accumulate.split(",")]
    print(f"{in_words(environment(given.device))}; MiB, width {given.width:g}\n")
    columns = ["network", "discriminator", "precision", "batch", "state", "each image"]
    for n in numbers:
        columns += [f"saved, accumulate {n}", *[f"peak, accumulate {n}"] * given.measure]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    lists = (given.networks, given.norms, given.precisions, given.batches)
    for place, norm, precision, batch in product(*(text.split(",") for text in lists)):
        network, resolution = place.split(":")
        case = Case(network, int(resolution), norm, precision, int(batch), 1, given.width, given.device)
        print(row([replace(case, accumulate=n) for n in numbers], measured=given.measure), flush=True)


if __name__ == "__main__":
    main()
