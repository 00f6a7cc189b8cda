"""Robustness of classifiers: every normalization, condition and seed, on digits or on a folder of images.

    python benchmarks/robustness_study.py --cells checkpoints/runs/robustness/digits.csv --seeds 5
    python benchmarks/robustness_study.py --cells checkpoints/runs/robustness/cifar10.csv --seeds 3 --images DIR

A finished training is a row of the CSV file and is not repeated; the tables are of all that is there. A file holds the
rows of one setting: images, network and epochs. SGD 0.1, momentum 0.9, weight decay 1e-4, the learning rate / 10 after
a third and two thirds of the epochs (of the two epochs of free training on digits after the first alone).

- digits: resnet8 on their own 8x8 pixels, batch 64, 8 epochs (160 steps), shifts by a pixel; Gaussian noise.
- a folder (train/CLASS/*, test/CLASS/*): resnet20 on 32x32 pixels, batch 128, 20 epochs, shifts by four pixels and
  mirrored; all 15 corruptions.

Trainings: clean; 40% symmetric label noise; 10% of the data, with as many steps (so ten times the epochs); free
adversarial training with 4 replays and a fourth of the epochs, as published (eps 8/255).
"""

from __future__ import annotations

import argparse
import itertools
import logging
import math
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from cells_file import read_cells, write_cells
from environment import environment
from pytorch_lightning import Trainer
from scipy import stats

from gan_convnorm.data import Digits, Folder, ImageData
from gan_convnorm.robustness.classifier import Classifier
from gan_convnorm.robustness.evaluation import RobustnessEvaluation
from gan_convnorm.robustness.training_data import LabelledData, TrainingSplit
from gan_convnorm.study.comparison import holm

NORMS = ("batch", "spectral+batch", "convnorm", "convnorm+batch", "convnorm_2021")
CONDITIONS: dict[str, dict[str, Any]] = {
    "clean": {},
    "label noise 40%": {"split": {"label_noise": 0.4}},
    "10% of the data": {"split": {"fraction": 0.1}, "longer": 10},
    "free adversarial": {"model": {"adversarial": "free", "replays": 4}, "longer": 1 / 4},
}
#: what is compared, and with what
COMPARED, REFERENCES = ("convnorm", "convnorm+batch", "convnorm_2021"), ("batch", "spectral+batch")
#: column -> title
MEASURES = {
    "clean": "clean",
    "corrupted": "corruptions, mean of 5 severities",
    "gaussian_noise": "Gaussian noise, mean of 5 severities",
    "gaussian_noise_5": "Gaussian noise, severity 5",
    "fgsm": "FGSM",
    "pgd": "PGD-20",
}


@dataclass(frozen=True)
class Setting:
    """Images, and what is trained on them; `data` takes a seed."""

    name: str
    data: Callable[..., ImageData]
    model: dict[str, Any]
    epochs: int
    corruptions: str
    precision: Any = "32-true"
    num_images: int | None = None


DIGITS = Setting("digits", partial(Digits, resolution=8, batch_size=64), {}, 8, "gaussian_noise")


def of_folder(
    path: Path, resolution: int, arch: str, epochs: int, precision: str, num_images: int | None = None
) -> Setting:
    """Return the setting of a folder of colour images."""
    name = f"{path.name} at {resolution}, {arch}, {epochs} epochs" + f", {precision}" * (precision != "32-true")
    if num_images is not None:
        name += f", {num_images} images corrupted and attacked"
    data = partial(Folder, str(path), resolution=resolution, batch_size=128)
    model = {"arch": arch, "crop": resolution // 8, "flip": True}
    return Setting(name, data, model, epochs, "all", precision, num_images)


def train(setting: Setting, norm: str, condition: str, seed: int) -> dict[str, Any]:
    """Train, and return one row of the CSV file."""
    options = CONDITIONS[condition]
    pl.seed_everything(seed, verbose=False)
    images = setting.data(seed=seed)
    images.prepare_data()
    images.setup("fit")
    data = LabelledData(images, TrainingSplit(seed=seed, **options.get("split", {})))
    sizes = {"channels": images.channels, "num_classes": images.num_classes}
    module = Classifier(**sizes, norm=norm, seed=seed, **setting.model, **options.get("model", {}))
    # Corruptions and attacks are the same for every seed and norm.
    evaluation = RobustnessEvaluation(corruptions=setting.corruptions, num_images=setting.num_images)
    trainer = Trainer(
        max_epochs=max(1, round(options.get("longer", 1) * setting.epochs)),
        callbacks=[evaluation],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        use_distributed_sampler=False,
        precision=setting.precision,
        accelerator="cpu",
        devices=1,
    )
    start = time.process_time()
    trainer.fit(module, data)
    found = evaluation.last
    assert found is not None
    noise, every = found.corruptions["gaussian_noise"], [v for row in found.corruptions.values() for v in row]
    row = {"setting": setting.name, "norm": norm, "condition": condition, "seed": seed, "steps": trainer.global_step}
    row["clean"] = found.clean
    row |= {"gaussian_noise": statistics.mean(noise), "gaussian_noise_5": noise[-1], **found.attacks}
    if len(found.corruptions) > 1:
        row["corrupted"] = statistics.mean(every)
    # Images whose gradient is zero stay as they are, and a network that has many looks robust.
    row["not_attacked"] = sum(found.protocol["not_attacked"].values())
    row["cpu_seconds"] = round(time.process_time() - start, 1)
    ran_on = environment("cpu")
    return row | {"commit": ran_on["commit"], "machine": f"{ran_on['hardware']}, {ran_on['instructions']}"}


def measures_of(rows: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(column, title) for column, title in MEASURES.items() if any(row.get(column) for row in rows)]


def conditions_of(rows: list[dict[str, str]]) -> list[str]:
    return [condition for condition in CONDITIONS if any(row["condition"] == condition for row in rows)]


def accuracies(rows: list[dict[str, str]], norm: str, condition: str, column: str) -> dict[str, float]:
    """Return the accuracy in % by seed."""
    own = [r for r in rows if (r["norm"], r["condition"]) == (norm, condition) and r.get(column)]
    return {r["seed"]: 100 * float(r[column]) for r in own}


def print_means(rows: list[dict[str, str]], norms: list[str]) -> None:
    print("\nAccuracy in %, mean +- standard deviation over seeds:\n")
    print("| trained on | measured | " + " | ".join(norms) + " | seeds |\n" + "|---" * (len(norms) + 3) + "|")
    for condition, (column, title) in itertools.product(conditions_of(rows), measures_of(rows)):
        values = [list(accuracies(rows, norm, condition, column).values()) for norm in norms]
        most = max(map(len, values))
        cells = [mean_of(v) + f" (n = {len(v)})" * (len(v) < most) if v else "" for v in values]
        print(f"| {condition} | {title} | " + " | ".join(cells) + f" | {most} |")


def mean_of(values: list[float]) -> str:
    deviation = f" +- {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{deviation}"


def print_differences(rows: list[dict[str, str]], norms: list[str]) -> None:
    """Print the differences of ConvNorm, with and without BatchNorm, to the others, with paired t tests over seeds."""
    pairs = [pair for pair in itertools.product(COMPARED, REFERENCES) if set(pair) <= set(norms)]
    lines = list(itertools.product(conditions_of(rows), measures_of(rows)))
    means: dict[tuple[int, int], tuple[float, int]] = {}
    found: dict[tuple[int, int], float] = {}
    for (line, (condition, (column, _))), (place, pair) in itertools.product(enumerate(lines), enumerate(pairs)):
        one, other = (accuracies(rows, norm, condition, column) for norm in pair)
        seeds = sorted(one.keys() & other.keys())
        differences = [round(one[s] - other[s], 9) for s in seeds]
        if differences:
            means[line, place] = (statistics.mean(differences), len(seeds))
        if len(set(differences)) > 1:  # else too few for a test, or all the same
            found[line, place] = float(stats.ttest_rel([one[s] for s in seeds], [other[s] for s in seeds]).pvalue)
    corrected = dict(zip(found, holm(list(found.values())), strict=True))
    print(
        "\nDifferences in points (n: pairs, where some seeds have none); p of the two-sided paired t test over the "
        "seeds of both, and in brackets corrected "
        f"for all {len(found)} tests (Holm):\n"
    )
    titles = " | ".join(f"{norm} against {reference} | p" for norm, reference in pairs)
    print(f"| trained on | measured | {titles} |\n" + "|---" * (2 * len(pairs) + 2) + "|")
    most = max((count for _, count in means.values()), default=0)
    for line, (condition, (_, title)) in enumerate(lines):
        cells = []
        for key in ((line, place) for place in range(len(pairs))):
            mean, count = means.get(key, (math.nan, 0))
            cells.append(f"{mean:+.1f}" + f" (n = {count})" * (count < most) if count else "")
            cells.append(f"{found[key]:.2g} ({corrected[key]:.2g})" if key in found else "")
        print(f"| {condition} | {title} | " + " | ".join(cells) + " |")


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=Path, required=True, help="CSV file of the finished trainings")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--images", type=Path, help="folder of images; digits when not given")
    parser.add_argument("--resolution", type=int, default=32, help="side of the folder's images in pixels")
    parser.add_argument("--arch", default="resnet20", help="network for the folder's images")
    parser.add_argument("--epochs", type=int, default=20, help="epochs on the folder's images")
    parser.add_argument("--precision", default="32-true", help="the Trainer's, on the folder's images, as bf16-mixed")
    parser.add_argument("--num-images", type=int, help="corrupt and attack only so many of the folder's test images")
    parser.add_argument("--conditions", nargs="*", default=list(CONDITIONS), choices=list(CONDITIONS))
    parser.add_argument("--norms", nargs="*", default=list(NORMS), help="norms to train")
    parser.add_argument("--minutes", type=float, default=math.inf, help="minutes after which no training starts")
    arguments = parser.parse_args(words)
    # Lightning's; the warnings of attacks that fail are shown.
    warnings.filterwarnings("ignore", module="pytorch_lightning|torch|lightning_fabric")
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    folder = (arguments.images, arguments.resolution, arguments.arch, arguments.epochs, arguments.precision)
    setting = DIGITS if arguments.images is None else of_folder(*folder, arguments.num_images)
    arguments.cells.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = list(read_cells(arguments.cells))
    for other in {r.get("setting") or DIGITS.name for r in rows} - {setting.name}:
        parser.error(f"{arguments.cells} has rows of {other!r}, and this is {setting.name!r}; give another --cells")
    started = time.monotonic()
    for seed, condition, norm in itertools.product(range(arguments.seeds), arguments.conditions, arguments.norms):
        key = (norm, condition, str(seed))
        if key in {(r["norm"], r["condition"], str(r["seed"])) for r in rows}:
            continue
        if time.monotonic() - started > 60 * arguments.minutes:
            break
        rows.append(train(setting, norm, condition, seed))
        write_cells(arguments.cells, rows)
    rows = read_cells(arguments.cells)
    for column in ("commit", "machine"):
        made = sorted({row.get(column) or "not known" for row in rows})
        print(f"{column}: {', '.join(made)}")
    if failed := [row for row in rows if int(row.get("not_attacked") or 0)]:
        print(f"In {len(failed)} trainings an attack had no gradient for some images, which count as not changed.")
    trained = {r["norm"] for r in rows}
    norms = [norm for norm in (*NORMS, *sorted(trained - set(NORMS))) if norm in trained]
    print_means(rows, norms)
    print_differences(rows, norms)
    print("\n| CPU seconds of a training and its evaluation | " + " | ".join(norms) + " |")
    print("|---" * (len(norms) + 1) + "|")
    for condition in conditions_of(rows):
        seconds = [
            [float(r["cpu_seconds"]) for r in rows if (r["norm"], r["condition"]) == (norm, condition)]
            for norm in norms
        ]
        print(f"| {condition} | " + " | ".join(f"{statistics.mean(s):.0f}" if s else "" for s in seconds) + " |")


if __name__ == "__main__":
    main()
