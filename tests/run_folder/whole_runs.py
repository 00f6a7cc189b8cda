"""The words of a short run, and whether two runs are the same."""

import torch

WORDS = ["--steps", "12", "--eval-every", "4", "--n-dis", "2", "--width", "0.05", "--batch-size", "4"]

WORDS += ["--num-fake", "20", "--trainer.log_every_n_steps", "2", "--disc-norm", "spectral", "--conditional"]


def flat(value, prefix=""):
    if isinstance(value, dict):
        for key, part in value.items():
            yield from flat(part, f"{prefix}.{key}")
    elif isinstance(value, (list, tuple)):
        for key, part in enumerate(value):
            yield from flat(part, f"{prefix}.{key}")
    else:
        yield prefix, value


def assert_same_run(one, two):
    """Weights, optimizers, schedules, loops, best score and every row; not paths and seconds."""
    found = [dict(flat(torch.load(run / "last.ckpt", weights_only=True))) for run in (one, two)]
    found = [
        {k.replace(str(run.resolve()), "RUN"): v for k, v in f.items()}
        for f, run in zip(found, (one, two), strict=True)
    ]
    assert found[0].keys() == found[1].keys()
    differing = []
    for name, value in found[0].items():
        if name == ".config" or name.endswith((".seconds", ".cpu_seconds", "_path", ".dirpath", ".current_score")):
            continue
        other = found[1][name]
        same = torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other
        differing += [] if same else [name]
    assert not differing
    assert (one / "metrics.csv").read_text() == (two / "metrics.csv").read_text()
