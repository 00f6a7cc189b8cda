"""Time and memory of scores: gan_convnorm.fidelity and torch-fidelity, in one run.

    python benchmarks/fidelity_cost.py
    python benchmarks/fidelity_cost.py --images 64 --repeats 1 --rows 2000   # smoke

Extraction: the InceptionV3 graph with random weights on 32-pixel images, IS and FID; both run in turn, medians, half
the interquartile range. Processes: the same with one thread each. Eigenvalues: the FID step on 2,048 features, beside
torch-fidelity's with all threads and with one, on idle and on busy cores. Memory: the peak above that before scoring,
of --rows fakes on features of Inception's sizes from a network that has no size itself.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch_fidelity
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_statistics_to_metric

from gan_convnorm.fidelity import Evaluator, GeneratedImages, TensorImages, create_extractor
from gan_convnorm.fidelity.features import extract
from gan_convnorm.fidelity.metrics import frechet_distance


class Images(Dataset):
    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


class Wide(FeatureExtractorBase):
    """An extractor that returns features of Inception's sizes at no cost."""

    def __init__(self) -> None:
        super().__init__("wide", ["2048", "logits"])
        self.weight = torch.nn.Parameter(torch.randn(48, 3056))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple((images.flatten(1)[:, :48].float() @ self.weight).relu().split([2048, 1008], dim=1))

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("2048", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "2048"


def random_images(first: int, count: int) -> Tensor:
    random = torch.Generator().manual_seed(first)
    return torch.randint(0, 256, (count, 3, 32, 32), generator=random, dtype=torch.uint8)


def random_inception(path: Path) -> None:
    torch.manual_seed(0)
    load, FeatureExtractorInceptionV3.load_state_dict = FeatureExtractorInceptionV3.load_state_dict, lambda *_: None
    try:
        torch.save({}, path)
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
    finally:
        FeatureExtractorInceptionV3.load_state_dict = load
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.train()
    with torch.no_grad():
        network(random_images(0, 16))
    torch.save(network.state_dict(), path)


def median_and_spread(values: list[float]) -> str:
    lower, middle, upper = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return f"{middle:.2f} +- {(upper - lower) / 2:.2f}"


def interleaved(actions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in actions}
    for repeat in range(repeats + 1):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            if repeat:
                times[name].append(time.perf_counter() - start)
    return times


def report(times: dict[str, list[float]], base: str) -> None:
    for name, values in times.items():
        ratios = [value / other for value, other in zip(values, times[base], strict=True)]
        print(f"| {name} | {median_and_spread(values)} s | {median_and_spread(ratios)} |", flush=True)


def extraction(weights: Path, fakes: Tensor, real: Tensor, repeats: int) -> None:
    def ours() -> None:
        extractor = create_extractor("inception", metrics=("isc", "fid"), weights=weights)
        Evaluator(extractor, GeneratedImages(lambda first, count: real[first : first + count], len(real), ""))(fakes)

    def theirs() -> None:
        torch_fidelity.calculate_metrics(
            input1=Images(fakes),
            input2=Images(real),
            cuda=False,
            isc=True,
            fid=True,
            cache=False,
            verbose=False,
            feature_extractor_weights_path=str(weights),
        )

    report(interleaved({"torch-fidelity": theirs, "ours": ours}, repeats), "torch-fidelity")


def worker(rank: int, size: int, folder: str, weights: Path, images: int, repeats: int, results: Any) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=size)
    extractor = create_extractor("inception", metrics=("isc", "fid"), weights=weights)
    real = TensorImages(random_images(0, images))
    times = interleaved({"": lambda: extract(extractor, real, batch_size=16)}, repeats)
    if rank == 0:
        results.put(times[""])
    if size > 1:
        dist.destroy_process_group()


def on_processes(size: int, *arguments: Any) -> list[float]:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        workers = [context.Process(target=worker, args=(r, size, folder, *arguments, results)) for r in range(size)]
        for process in workers:
            process.start()
        found = results.get()
        for process in workers:
            process.join()
    return found


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=spin, daemon=True) for _ in range(count)]
    for process in workers:
        process.start()
    try:
        yield
    finally:
        for process in workers:
            process.kill()


def spin() -> None:
    while True:
        pass


def eigenvalues(features: int, repeats: int) -> None:
    def covariance() -> dict[str, Tensor]:
        rows = torch.randn(2 * features, features, dtype=torch.float64)
        return {"mu": rows.mean(0), "sigma": rows.T @ rows / len(rows)}

    one, two = covariance(), covariance()
    arrays = [{name: value.numpy() for name, value in found.items()} for found in (one, two)]

    def one_thread() -> None:
        with threadpool_limits(1):
            fid_statistics_to_metric(*arrays, verbose=False)

    actions = {
        "torch-fidelity, one thread": one_thread,
        "torch-fidelity": lambda: fid_statistics_to_metric(*arrays, verbose=False),
        "ours": lambda: frechet_distance(one, two),
    }
    print("\nidle cores\n")
    report(interleaved(actions, repeats), "torch-fidelity, one thread")
    print("\nbusy cores\n")
    with busy(os.cpu_count() or 1):
        report(interleaved(actions, repeats), "torch-fidelity, one thread")


def memory(rows: int, connection: Any) -> None:
    warnings.simplefilter("ignore")
    extractor = Wide().eval()
    evaluator = Evaluator(extractor, GeneratedImages(random_images, 4096, ""), metrics=("isc", "fid"))
    before = memory_mib("VmRSS")
    evaluator(GeneratedImages(random_images, rows, ""))
    connection.put(memory_mib("VmHWM") - before)


def memory_mib(field: str) -> float:
    """Return this process's memory from the kernel, because getrusage's peak survives a fork."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    versions = f"torch {torch.__version__}, numpy {np.__version__}, {os.cpu_count()} cores"
    print(f"{versions}, {arguments.images} images, {arguments.repeats} repeats\n")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        weights = Path(folder) / "weights.pth"
        random_inception(weights)
        print("| one process, IS and FID | time | ratio |\n|---|---|---|")
        fakes, real = random_images(1, arguments.images), random_images(2, arguments.images)
        extraction(weights, fakes, real, arguments.repeats)
        alone, two = (on_processes(size, weights, arguments.images, arguments.repeats) for size in (1, 2))
        ratios = [a / b for a, b in zip(alone, two, strict=True)]
        print(f"\nTwo processes, a thread each, are {median_and_spread(ratios)} times as fast as one.")
    eigenvalues(arguments.features, max(1, arguments.repeats // 2))
    context = multiprocessing.get_context("spawn")
    connection = context.Queue()
    process = context.Process(target=memory, args=(arguments.rows, connection))
    process.start()
    print(f"\nPeak memory of {arguments.rows} fakes, IS and FID: {connection.get():.0f} MiB.")
    process.join()


if __name__ == "__main__":
    main()
