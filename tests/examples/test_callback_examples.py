"""The examples of callbacks: each runs to its end at a tiny scale, and leaves samples and its best checkpoint."""

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def short_training(monkeypatch):
    """Train the extractor briefly: the scores' meaning is not in question here."""
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)


def run(name, words):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(words)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
def test_a_strangers_vae_has_fid_and_its_best_checkpoint(tmp_path, capsys):
    run("vae_with_fid", ["--epochs", "2", "--num-fake", "100", "--out", str(tmp_path)])
    best_of(capsys.readouterr().out, 2)
    assert (tmp_path / "best.ckpt").exists()
    assert {path.name for path in (tmp_path / "samples").iterdir()} >= {"step-000000.png", "step-000029.png"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
def test_a_tiny_diffusion_model_has_fid_and_its_best_checkpoint(tmp_path, capsys):
    pytest.importorskip("diffusers", reason="the extra examples is not installed")
    words = ["--steps", "4", "--every", "2", "--num-fake", "40", "--width", "8", "--out", str(tmp_path)]
    run("tiny_diffusion", words)
    best_of(capsys.readouterr().out, 2)
    assert (tmp_path / "best.ckpt").exists()
    assert {path.name for path in (tmp_path / "samples").iterdir()} >= {"step-000000.png", "step-000004.png"}


def best_of(out, count):
    """Return the FID that is said to be the best, which is the lowest of all."""
    found = [float(line.split("FID ")[1].split()[0]) for line in out.splitlines() if line.startswith("step ")]
    best = float(out.split("best FID ")[1].split(":")[0])
    assert len(found) == count and best == min(found)
    return f"{best:.2f}"
