"""A small study, its results without a training, and a queue whose runs are a script."""

import json
import sys

import yaml

from gan_convnorm.study import read_study
from gan_convnorm.study.queue import Queue
from gan_convnorm.study.results import Result
from gan_convnorm.study.run_process import RunProcesses

STUDY = {
    "name": "small",
    "norms": {
        "none": {"model": {"architecture": {"disc_norm": "none"}}},
        "spectral": {
            "model": {"architecture": {"disc_norm": "spectral", "disc_norm_options": {"n_power_iterations": 2}}}
        },
    },
    "config": {"model": {"architecture": {"width": 0.05}, "optimization": {"steps": 20}}, "scores": {"num_fake": 40}},
    "grids": {
        "main": {"seed": [0, 1, 2]},
        "rates": {"seed": [0], "norm": ["spectral"], "n_dis": [1, 2], "learning_rate": [0.001, 0.01]},
    },
    "smoke": {"model": {"optimization": {"steps": 2}}, "trainer": {"val_check_interval": 2}},
}


def written(folder, **changes):
    path = folder / "definition.yaml"
    path.write_text(yaml.safe_dump({**STUDY, **changes}))
    return path


def result(norm="spectral", seed=0, fids=(5.0, 2.0), **changes):
    rows = [{"step": 10.0 * (i + 1), "seconds": i + 1.0, "cpu_seconds": i + 2.0, "fid": f} for i, f in enumerate(fids)]
    rows[0]["layers/linear/operator_norm"] = 1.5
    values = {
        "grid": "main",
        "norm": norm,
        "seed": seed,
        "n_dis": 1,
        "learning_rate": 0.002,
        "outcome": "finished",
        "steps": 20,
        "seconds": 3.0,
        "cpu_seconds": 4.0,
        "rows": rows,
        "final": {"fid": fids[-1], "isc": 2.0},
        "protocol": {"name": "quick", "n_fake": 40},
        "versions": {"torch": "9.9"},
        "commit": "abc",
        "host": "one",
    }
    return Result(**{**values, **changes})


FAKE_RUN = """
import json, os, sys, time
from pathlib import Path
folder, config = Path(sys.argv[1]), json.loads(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
with (folder.parent / "started.txt").open("a") as file:
    print(folder.name, file=file)
model = {"optimization": {"n_dis": 1, "disc_lr": 0.002, **config["model"].get("optimization", {})}}
(folder / "config.yaml").write_text(json.dumps({"seed_everything": config["seed_everything"], "model": model}))
(folder / "metrics.csv").write_text("step,fid\\n10,4.0\\n20,3.0\\n")
behave(folder)
times = [{"step": 20, "seconds": 1.0, "cpu_seconds": 2.0}]
final = {"values": {"fid": 3.0}, "protocol": {"name": "quick"}}
(folder / "summary.json").write_text(json.dumps({"g_steps": 20, "seconds": 1.0, "times": times, "final": final}))
"""


def fake_command(processes, point, folder, behave="pass"):
    """In place of `RunProcesses.command`: a script that leaves a run's files."""
    script = f"def behave(folder):\n    import os, signal, sys, time\n    {behave}\n{FAKE_RUN}"
    return [sys.executable, "-c", script, str(folder), json.dumps(point.config)]


def queue_of(tmp_path, behave="", *, definition=None, workers=2, told=None):
    """A queue whose runs are a script in place of a training."""
    points = (definition or read_study(written(tmp_path))).points()

    class Scripted(RunProcesses):
        def command(self, point, folder):
            return fake_command(self, point, folder, behave or "pass")

    tell = (lambda line: None) if told is None else told.append
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    return Queue("small", points, storage, Scripted(tmp_path / "runs", tell=tell), workers=workers, tell=tell)


def started(tmp_path):
    return sorted((tmp_path / "runs/started.txt").read_text().split())


ONE = {"main": {"seed": [0], "norm": ["none"]}}


def one_point(tmp_path):
    return read_study(written(tmp_path, grids=ONE))
