"""Which ConvNorm settings train a discriminator best? Runs every setting with every seed and prints a table.

    python benchmarks/convnorm_defaults.py --out checkpoints/runs/defaults --seeds 3 --workers 2 --steps 1000

Every run is the command line's default run with one thread and the options below; a finished run is not repeated.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETTINGS = {
    "none": ("none", {}),
    "spectral": ("spectral", {}),
    "convnorm, depthwise affine": ("convnorm", {"affine": "depthwise"}),
    "convnorm, channel affine": ("convnorm", {"affine": "channel"}),
    "convnorm, no affine": ("convnorm", {"affine": None}),
    "convnorm, no affine, gain lipschitz": ("convnorm", {"affine": None, "gain": "lipschitz"}),
    "convnorm, gradient stopped": ("convnorm", {"gradient": "stop"}),
    "convnorm, tolerance 1e-2": ("convnorm", {"tolerance": 1e-2, "max_radius": 8}),
    "convnorm, tolerance 1e-3": ("convnorm", {"tolerance": 1e-3, "max_radius": 8}),
}


def run(setting: str, seed: int, out: Path, flags: list[str]) -> tuple[str, list[dict[str, float]], float]:
    """Train one setting with one seed, unless it is there; its score rows and seconds."""
    norm, options = SETTINGS[setting]
    folder = out / f"{setting.replace(', ', '-').replace(' ', '-')}-seed{seed}"
    if not (folder / "summary.json").exists():
        command = [sys.executable, str(ROOT / "train_gan.py"), "--disc-norm", norm, "--seed", str(seed)]
        command += ["--model.disc_norm_options", json.dumps(options), "--out", str(folder), *flags]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{k: float(r[k]) for k in ("step", "fid", "isc")} for r in csv.DictReader(file) if r["fid"]]
    return setting, rows, json.loads((folder / "summary.json").read_text())["seconds"]


def spread(values: list[float], digits: int = 2) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"{statistics.mean(values):.{digits}f} +- {deviation:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=list(SETTINGS), help="settings to run")
    arguments, flags = parser.parse_known_args()
    jobs = [(setting, seed) for seed in range(arguments.seeds) for setting in arguments.only]
    with ThreadPoolExecutor(arguments.workers) as pool:
        done = list(pool.map(lambda job: run(*job, arguments.out, flags), jobs))
    steps = [int(row["step"]) for row in done[0][1]]
    print("| discriminator | " + " | ".join(f"FID at {s}" for s in steps) + f" | IS at {steps[-1]} | seconds |")
    print("|---" * (len(steps) + 3) + "|")
    for setting in arguments.only:
        found = [(rows, seconds) for name, rows, seconds in done if name == setting]
        cells = [spread([rows[i]["fid"] for rows, _ in found]) for i in range(len(steps))]
        cells += [spread([rows[-1]["isc"] for rows, _ in found]), spread([seconds for _, seconds in found], 0)]
        print(f"| {setting} | " + " | ".join(cells) + " |")
    print(f"\nn = {arguments.seeds} seeds, mean +- standard deviation; flags: {' '.join(flags) or 'none'}")


if __name__ == "__main__":
    main()
