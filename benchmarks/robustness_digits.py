"""Robustness of classifiers on digits: every normalization, condition and seed.

    python benchmarks/robustness_digits.py --cells checkpoints/runs/robustness/digits.csv --seeds 5

A finished training is a row of the CSV file and is not repeated; the tables are of all that is there. The network is
resnet8 on the digits' own 8x8 pixels, SGD 0.1, momentum 0.9, weight decay 1e-4, batch 64, 8 epochs (160 steps), the
learning rate / 10 after a third and two thirds. Trainings: clean; 40% symmetric label noise; 10% of the data, with as
many steps (so ten times the epochs); free adversarial training with 4 replays and a fourth of the epochs, as published
(eps 8/255).
"""

from __future__ import annotations

import argparse
import itertools
import logging
import math
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from cells_file import read_cells, write_cells
from pytorch_lightning import Trainer
from scipy import stats

from gan_convnorm.data import Digits
from gan_convnorm.robustness.classifier import Classifier
from gan_convnorm.robustness.evaluation import RobustnessEvaluation
from gan_convnorm.robustness.training_data import LabelledData, TrainingSplit

NORMS = ("batch", "spectral+batch", "convnorm", "convnorm+batch")
EPOCHS = 8
CONDITIONS: dict[str, dict[str, Any]] = {
    "clean": {},
    "label noise 40%": {"split": {"label_noise": 0.4}},
    "10% of the data": {"split": {"fraction": 0.1}, "epochs": 10 * EPOCHS},
    "free adversarial": {"model": {"adversarial": "free", "replays": 4}, "epochs": EPOCHS // 4},
}
#: what is compared, and with what
COMPARED, REFERENCES = ("convnorm", "convnorm+batch"), ("batch", "spectral+batch")
#: column -> title
MEASURES = {
    "clean": "clean",
    "gaussian_noise": "Gaussian noise, mean of 5 severities",
    "gaussian_noise_5": "Gaussian noise, severity 5",
    "fgsm": "FGSM",
    "pgd": "PGD-20",
}


def train(norm: str, condition: str, seed: int) -> dict[str, Any]:
    """Train, and return one row of the CSV file."""
    options = CONDITIONS[condition]
    pl.seed_everything(seed, verbose=False)
    data = LabelledData(
        Digits(resolution=8, batch_size=64, seed=seed), TrainingSplit(seed=seed, **options.get("split", {}))
    )
    module = Classifier(norm=norm, seed=seed, **options.get("model", {}))
    # Corruptions and attacks are the same for every seed and norm.
    evaluation = RobustnessEvaluation(corruptions="gaussian_noise")
    trainer = Trainer(
        max_epochs=options.get("epochs", EPOCHS),
        callbacks=[evaluation],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        use_distributed_sampler=False,
        accelerator="cpu",
        devices=1,
    )
    start = time.process_time()
    trainer.fit(module, data)
    found = evaluation.last
    assert found is not None
    noise = found.corruptions["gaussian_noise"]
    row = {"norm": norm, "condition": condition, "seed": seed, "steps": trainer.global_step, "clean": found.clean}
    row |= {"gaussian_noise": sum(noise) / len(noise), "gaussian_noise_5": noise[-1], **found.attacks}
    return row | {"cpu_seconds": round(time.process_time() - start, 1)}


def accuracies(rows: list[dict[str, str]], norm: str, condition: str, column: str) -> dict[str, float]:
    """Return the accuracy in % by seed."""
    return {r["seed"]: 100 * float(r[column]) for r in rows if (r["norm"], r["condition"]) == (norm, condition)}


def print_means(rows: list[dict[str, str]], norms: list[str]) -> None:
    print("\nAccuracy in %, mean +- standard deviation over seeds:\n")
    print("| trained on | measured | " + " | ".join(norms) + " | seeds |\n" + "|---" * (len(norms) + 3) + "|")
    for condition, (column, title) in itertools.product(CONDITIONS, MEASURES.items()):
        values = [list(accuracies(rows, norm, condition, column).values()) for norm in norms]
        cells = [f"{statistics.mean(v):.1f} +- {deviation(v):.1f}" if v else "" for v in values]
        seeds = ", ".join(dict.fromkeys(str(len(v)) for v in values))
        print(f"| {condition} | {title} | " + " | ".join(cells) + f" | {seeds} |")


def deviation(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else math.nan


def print_differences(rows: list[dict[str, str]], norms: list[str]) -> None:
    """Print the differences of ConvNorm, with and without BatchNorm, to the others, with paired t tests over seeds."""
    pairs = [pair for pair in itertools.product(COMPARED, REFERENCES) if set(pair) <= set(norms)]
    print("\nDifferences in points, p of the two-sided paired t test over the seeds of both:\n")
    titles = " | ".join(f"{norm} against {reference} | p" for norm, reference in pairs)
    print(f"| trained on | measured | {titles} |\n" + "|---" * (2 * len(pairs) + 2) + "|")
    for condition, (column, title) in itertools.product(CONDITIONS, MEASURES.items()):
        cells = []
        for pair in pairs:
            one, other = (accuracies(rows, norm, condition, column) for norm in pair)
            seeds = sorted(one.keys() & other.keys())
            differences = [round(one[s] - other[s], 9) for s in seeds]
            if len(set(differences)) < 2:  # too few, or all the same
                cells += ["", ""]
                continue
            p = stats.ttest_rel([one[s] for s in seeds], [other[s] for s in seeds]).pvalue
            cells += [f"{statistics.mean(differences):+.1f}", f"{p:.2g}"]
        print(f"| {condition} | {title} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=Path, required=True, help="CSV file of the finished trainings")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--norms", nargs="*", default=list(NORMS), help="norms to train")
    parser.add_argument("--minutes", type=float, default=math.inf, help="minutes after which no training starts")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    arguments.cells.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = list(read_cells(arguments.cells))
    started = time.monotonic()
    for seed, condition, norm in itertools.product(range(arguments.seeds), CONDITIONS, arguments.norms):
        key = (norm, condition, str(seed))
        if key in {(r["norm"], r["condition"], str(r["seed"])) for r in rows}:
            continue
        if time.monotonic() - started > 60 * arguments.minutes:
            break
        rows.append(train(norm, condition, seed))
        write_cells(arguments.cells, rows)
    rows = read_cells(arguments.cells)
    norms = [norm for norm in NORMS if any(r["norm"] == norm for r in rows)]
    print_means(rows, norms)
    print_differences(rows, norms)
    print("\n| CPU seconds of a training and its evaluation | " + " | ".join(norms) + " |")
    print("|---" * (len(norms) + 1) + "|")
    for condition in CONDITIONS:
        seconds = [
            [float(r["cpu_seconds"]) for r in rows if (r["norm"], r["condition"]) == (norm, condition)]
            for norm in norms
        ]
        print(f"| {condition} | " + " | ".join(f"{statistics.mean(s):.0f}" if s else "" for s in seconds) + " |")


if __name__ == "__main__":
    main()
