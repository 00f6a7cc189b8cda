"""Training in the GPU suite: steps a second, equality between precisions, scores, and two processes on one device."""

from __future__ import annotations

import argparse
import csv
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch._dynamo
from gpu_layers import Rows, clock, row
from throughput import N_DIS, RandomImages, Turns, compare, fit, middle_and_spread, random_images
from torch import Tensor

from gan_convnorm.data import Digits, Folder, ImageData
from gan_convnorm.fidelity import create_extractor, evaluate
from gan_convnorm.gan import GAN, Architecture, Optimization

ROOT = Path(__file__).parents[1]
#: largest mean difference of the losses of 50 steps to those of float32, over the mean of float32's own values;
#: at width 0.1 on a CPU bf16-mixed was 2e-3 (spectral) and 4e-3 (convnorm) away, and the same again 0
TOLERANCES = {"again": 0.02, "compiled": 0.02, "bf16-mixed": 0.05, "two processes": 0.05}
#: seconds at the end of the training on a folder that its scores may take
FOR_SCORES = 25


def speed(norm: str, precision: str, compiled: bool) -> Callable[[argparse.Namespace], Rows]:
    def part(arguments: argparse.Namespace) -> Rows:
        torch._dynamo.reset()
        turns = Turns(arguments.device, arguments.window)
        torch.manual_seed(0)
        architecture = Architecture(width=arguments.width, disc_norm=norm)
        optimization = Optimization(n_dis=N_DIS, steps=arguments.steps + arguments.window)
        gan = GAN(32, 3, None, architecture, optimization, compile_networks=compiled)
        fit(gan, RandomImages(random_images(arguments.images), arguments.batch), turns, arguments.device, precision)
        middle, half = middle_and_spread([1 / wall for wall, _ in turns.ours])
        return [row("", f"{middle:.2f} +- {half:.2f} G steps/s", windows=len(turns.ours), steps_per_second=middle)]

    return part


def beside_mimicry(norm: str) -> Callable[[argparse.Namespace], Rows]:
    def part(arguments: argparse.Namespace) -> Rows:
        found = compare(norm, random_images(arguments.images), arguments)
        ratio, half = found["ratio_wall"]
        return [
            row(
                "", f"{ratio:.2f} +- {half:.2f} times mimicry's {1 / found['mimicry_wall_s'][0]:.2f} G steps/s", **found
            )
        ]

    return part


def equality(norm: str, *runs: tuple[str, str, bool]) -> Callable[[argparse.Namespace], Rows]:
    """Compare the losses of runs (name, precision, whether compiled) with those of float32."""

    def part(arguments: argparse.Namespace) -> Rows:
        steps = 3 if arguments.smoke else 50

        def losses(precision: str, compiled: bool) -> Tensor:
            torch._dynamo.reset()
            torch.manual_seed(0)
            architecture = Architecture(width=arguments.small_width, disc_norm=norm)
            optimization = Optimization(steps=steps, gen_lr=2e-4, disc_lr=2e-4)
            gan = GAN(architecture=architecture, optimization=optimization, compile_networks=compiled)
            record = Losses()
            fit(gan, Digits(batch_size=8 if arguments.smoke else 32), record, arguments.device, precision)
            return torch.stack(record.losses).float().cpu()

        expected = losses("32-true", False)
        rows = []
        for name, precision, compiled in runs:
            difference = float((losses(precision, compiled) - expected).abs().mean() / expected.abs().mean())
            good = difference <= TOLERANCES[name]
            result = f"losses differ by {difference:.1e} of their mean, {'within' if good else 'NOT WITHIN'} "
            rows.append(row(name, result + f"{TOLERANCES[name]:g}", good=good, difference=difference, steps=steps))
        return rows

    return part


class Losses(pl.Callback):
    def __init__(self) -> None:
        self.losses: list[Tensor] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *arguments: Any) -> None:
        self.losses.append(torch.stack([outputs["d_loss"], outputs["g_loss"]]).detach())


def training(norm: str) -> Callable[[argparse.Namespace], Rows]:
    def part(arguments: argparse.Namespace) -> Rows:
        steps, fakes = (2, 32) if arguments.smoke else (1000, 2000)
        torch.manual_seed(0)
        architecture = Architecture(width=arguments.small_width, disc_norm=norm)
        gan = GAN(architecture=architecture, optimization=Optimization(steps=steps))
        data = Digits()
        start = clock(arguments.device)
        fit(gan, data, pl.Callback(), arguments.device)
        seconds = clock(arguments.device) - start
        images, labels = data.train_set.tensors
        extractor = create_extractor("classifier", labelled=(images, labels), metrics=["fid"], device=arguments.device)
        scores = evaluate(gan.sample(fakes), images, metrics="fid", extractor=extractor, device=arguments.device)
        result = f"FID {scores.values['fid']:.1f} after {steps} G steps in {seconds:.0f} s; {scores.meaning()}"
        return [row("", result, fid=scores.values["fid"], g_steps=steps, seconds=seconds)]

    return part


class UntilTime(pl.Callback):
    """Ends a training when its seconds are over."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if time.monotonic() > self.end:
            trainer.should_stop = True


def folder_training(norm: str, share: float) -> Callable[[argparse.Namespace], Rows]:
    """Train SNGAN-32 on a folder of images for a share of the time that is left, and score it.

    The learning rates do not decay: nobody knows beforehand how many steps the time carries.
    """

    def part(arguments: argparse.Namespace) -> Rows:
        if arguments.folder is None:
            return [row("", "not run: give a folder of images with --folder")]
        seconds = max(1.0, share * (arguments.end - time.monotonic()) - FOR_SCORES)
        if arguments.smoke:
            seconds = 1.0
        torch.manual_seed(0)
        data: ImageData = Folder(arguments.folder, resolution=32, batch_size=arguments.batch)
        data.prepare_data()
        data.setup()
        architecture = Architecture(width=arguments.width, disc_norm=norm)
        optimization = Optimization(n_dis=N_DIS, steps=10**6, gen_lr=2e-4, disc_lr=2e-4)
        gan = GAN(32, data.channels, None, architecture, optimization)
        fit(gan, data, UntilTime(seconds), arguments.device, "32-true" if arguments.smoke else "bf16-mixed")
        images, *labels = data.train_set.tensors
        labelled = (images, labels[0]) if labels else None
        extractor = create_extractor("classifier", labelled=labelled, metrics=["isc", "fid"], device=arguments.device)
        fakes = 64 if arguments.smoke else 5000
        scores = evaluate(
            gan.sample(fakes), images, metrics="isc,fid", extractor=extractor, isc_splits=2, device=arguments.device
        )
        result = f"{scores.line()} after {gan.g_step} G steps in {seconds:.0f} s; {scores.meaning()}"
        return [row("", result, g_steps=gan.g_step, seconds=seconds, **scores.values)]

    return part


def two_processes(arguments: argparse.Namespace) -> Rows:
    """Train on two processes of half the batch that share the device, and compare the losses with one process's.

    The processes are two machines of one device each to Lightning, which would not give a device to two of its own.
    They average by gloo: NCCL refuses two processes on one GPU.
    """
    steps = 3 if arguments.smoke else 20
    words = f"--disc-norm spectral --gen-norm none --steps {steps} --eval-every {steps} --num-fake 20 --metrics fid"
    words += f" --n-dis 1 --trainer.log_every_n_steps 1 --width {arguments.small_width} --precision 64-true"
    words += f" --accelerator {'gpu' if arguments.device == 'cuda' else 'cpu'} --devices 1"
    strategy = " --num-nodes 2 --trainer.strategy gan_convnorm.strategies.NetworksDDP"
    strategy += " --trainer.strategy.process_group_backend gloo"
    with tempfile.TemporaryDirectory() as folder:
        train(f"{words} --batch-size 16 --out {folder}/one")
        start = clock(arguments.device)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        both = [
            start_training(f"{words}{strategy} --batch-size 8 --out {folder}/two", NODE_RANK=str(rank), **address)
            for rank in (0, 1)
        ]
        errors = [process.communicate()[1] for process in both]
        if any(process.returncode for process in both):
            raise RuntimeError(errors[0].strip().splitlines()[-1])
        seconds = clock(arguments.device) - start
        one, two = (losses_of(Path(folder) / name / "metrics.csv") for name in ("one", "two"))
    difference = float((one - two).abs().mean() / one.abs().mean())
    good = difference <= TOLERANCES["two processes"]
    result = f"losses differ by {difference:.1e} of their mean from one process's; {seconds:.0f} s for {steps} steps"
    return [row("gloo", result, good=good, difference=difference)]


def train(words: str) -> None:
    process = start_training(words)
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(errors.strip().splitlines()[-1])


def start_training(words: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "train_gan.py"), *words.split()]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def losses_of(path: Path) -> Tensor:
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["d_loss"]]
    return torch.tensor([[float(row["d_loss"]), float(row["g_loss"])] for row in rows], dtype=torch.float64)
