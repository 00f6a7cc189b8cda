"""A run folder as a run leaves it, without a training."""

import json

import yaml
from PIL import Image

from gan_convnorm.run_folder import MetricsFile

LAYERS = ("blocks.0.conv1", "linear")


def write_run(folder, *, seed=0, norm="spectral", fids=(50.0, 20.0), seconds=30.0, finished=True, measured=True):
    """A run folder as a run leaves it."""
    (folder / "samples").mkdir(parents=True)
    config = {
        "seed_everything": seed,
        "trainer": {"default_root_dir": str(folder), "val_check_interval": 10},
        "model": {"architecture": {"disc_norm": norm, "disc_norm_options": None}, "optimization": {"steps": 20}},
        "data": {"class_path": "gan_convnorm.data.digits.Digits", "init_args": {"batch_size": 32, "seed": seed}},
        "ckpt_path": None,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    metrics = MetricsFile(folder / "metrics.csv")
    for step in (0, 10, 20):
        if measured:
            columns = {f"layers/{name}/operator_norm": 1 + step / 10 for name in LAYERS}
            metrics.log_metrics(columns | {"layers/linear/condition_number": 10.0 ** (step / 5)}, step)
        if step:
            metrics.log_metrics({"d_loss": 1.0, "g_loss": 0.5, "fid": fids[step // 10 - 1], "isc": 2.0}, step)
    metrics.save()
    for step in (10, 20):
        Image.new("L", (8, 8), step).save(folder / f"samples/step-{step:06d}.png")
    if finished:
        protocol = {
            "n_fake": 100,
            "fake": "EMA samples",
            "n_real": 1437,
            "reference": "digits",
            "extractor": "inception",
        }
        summary = {"g_steps": 20, "seconds": seconds, "cpu_seconds": seconds, "protocol": protocol}
        (folder / "summary.json").write_text(json.dumps(summary))
    if measured:
        singular_values = {name: {"before": [2.0, 1.0, 0.5], "after": [3.0, 1.0, 0.1]} for name in LAYERS}
        (folder / "singular_values.json").write_text(json.dumps({"grid": 8, "layers": singular_values}))
    return folder


def damage(name, content):
    def apply(run):
        (run / name).write_bytes(content)

    return apply


def summary(**changed):
    def apply(run):
        content = json.loads((run / "summary.json").read_text())
        (run / "summary.json").write_text(json.dumps(content | changed))

    return apply
