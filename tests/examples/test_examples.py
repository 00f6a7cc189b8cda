"""The examples: each runs to its end at a tiny scale, and what it claims holds."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from torch import nn

from gan_convnorm.data import Arrays
from gan_convnorm.layers.registry import NORMS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples"


@pytest.fixture
def example(monkeypatch):
    """Return a function that imports an example by its name."""

    def load(name):
        spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain_pytorch_gan", "wgan_gp_loop"])
def test_a_loop_writes_a_grid_of_100_samples(name, example, tmp_path, capsys):
    out = tmp_path / "grid.png"
    small = ["--width", "0.05"] if name == "plain_pytorch_gan" else []
    example(name).main(["--steps", "2", *small, "--out", str(out)])
    assert f"100 samples: {out}" in capsys.readouterr().out
    assert Image.open(out).size == (662, 662)


@pytest.mark.slow
def test_the_critic_finds_the_distance_and_never_more(example, capsys):
    found, true = example("optimal_transport_critic").main(["--steps", "60", "--distance", "3"])
    # 20,000 images a side: the mean of a 1-Lipschitz function of unit Gaussian noise is known to 0.01.
    assert 0.8 * true < found <= true + 0.05
    assert "true value 3.000" in capsys.readouterr().out


def test_the_critic_is_1_lipschitz_whatever_its_weights(example):
    critic = example("optimal_transport_critic").build_critic()
    for parameter in critic.parameters():
        torch.nn.init.normal_(parameter, std=3.0)
    first, second = torch.randn(2, 64, 1, 8, 8)
    gaps = (critic(first) - critic(second)).abs().flatten()
    assert (gaps <= (first - second).flatten(1).norm(dim=1) * (1 + 1e-5)).all()


@pytest.mark.slow
@pytest.mark.parametrize("batch_norm", ["keep", "replace"])
def test_the_resnet_recipe_trains(batch_norm, example, capsys):
    share = example("resnet_recipe").main(["--epochs", "1", "--images", "64", "--batch-norm", batch_norm])
    assert 0 <= share <= 1
    words = capsys.readouterr().out
    assert "layers changed" in words
    assert f"test accuracy {100 * share:.1f}%" in words


@pytest.mark.slow
def test_the_timm_classifier_trains(example, capsys):
    pytest.importorskip("timm", reason="timm is not installed: pip install timm")
    share = example("timm_classifier_convnorm").main(["--epochs", "1", "--images", "64"])
    words = capsys.readouterr().out
    assert "layers changed, 0 left" in words
    assert f"test accuracy {100 * share:.1f}%" in words


@pytest.mark.slow
def test_the_spectra_are_in_a_table_and_a_figure(example, tmp_path, capsys):
    out = tmp_path / "operator_norms.png"
    report = example("operator_norms").main(["--network", "squeezenet1_1", "--side", "32", "--out", str(out)])
    words = capsys.readouterr().out
    assert len(report.layers) == 26
    assert all(f"\n{layer.name} " in words for layer in report.layers)
    assert Image.open(out).size == (840, 540)


@pytest.mark.slow
def test_digits_are_drawn_at_28_pixels_with_their_labels(example, tmp_path, capsys):
    out = tmp_path / "digits28.npz"
    example("handwritten_digits_28").main(["--copies", "1", "--out", str(out)])
    assert "1,437 train and 360 test images" in capsys.readouterr().out
    data = Arrays(out, resolution=32)
    data.setup()
    for split, count in (("train", 1437), ("test", 360)):
        images, labels = data.split(split).tensors
        assert images.shape == (count, 1, 32, 32) and images.dtype == torch.uint8
        # As in MNIST, most pixels are black, ink is white, and a margin is left.
        assert (images < 10).float().mean() > 0.6 and images.amax() > 240
        assert images[..., 0, :].float().mean() < 1
        assert labels.unique().tolist() == list(range(10))


def test_every_example_is_in_the_table():
    table = (FOLDER / "README.md").read_text()
    for path in FOLDER.glob("*.py"):
        assert f"`{path.name}`" in table


def test_the_controls_keep_what_they_say(example):
    controls = example("convnorm_controls")
    torch.manual_seed(0)
    own = NORMS["convnorm"].conv(nn.Conv2d(6, 5, 3, padding=1), affine=None, eps=1e-12)
    kernels = torch.fft.fft2(own.weight.double(), s=(8, 8)).abs().square().sum(1)
    mean = kernels.mean((1, 2))
    plain = nn.Conv2d(6, 5, 3, padding=1)
    plain.weight = nn.Parameter(own.weight.detach().clone())
    flat = controls.flat.conv(plain, eps=0.5, min_inputs=4)
    expected = own.weight.double() * (mean + 0.5).rsqrt().view(-1, 1, 1, 1)
    torch.testing.assert_close(flat.weight.double(), expected, rtol=1e-5, atol=1e-7)
    shuffled = controls.shuffled.conv(nn.Conv2d(6, 5, 3, padding=1), affine=None, eps=1e-12, min_inputs=4)
    shuffled.load_state_dict(own.state_dict())
    transfer = shuffled.transfer_function((8, 8)).double().square()
    other = kernels.roll(1, 0)
    scale = (kernels / other).mean((1, 2)).view(-1, 1, 1)
    torch.testing.assert_close(transfer, 1 / (scale * other)[..., :5], rtol=1e-3, atol=0)
    scaled = controls.scaled_spectral.conv(nn.Conv2d(6, 5, 3), gain=3.0)
    for _ in range(50):
        scaled(torch.zeros(1, 6, 4, 4))
    assert torch.linalg.matrix_norm(scaled.weight.flatten(1), 2).item() == pytest.approx(3, rel=1e-3)
    assert isinstance(controls.flat.conv(nn.Conv2d(3, 5, 3), min_inputs=4), nn.Conv2d)  # spectral norm's


@pytest.mark.slow
def test_a_study_trains_the_controls(tmp_path):
    """A study's file names normalizations of an example, and the runs of the study find them."""
    for part in ("train", "test"):
        for label in range(2):
            (tmp_path / part / str(label)).mkdir(parents=True)
            for number in range(24):
                pixels = torch.randint(0, 256, (16, 16, 3), dtype=torch.uint8).numpy()
                Image.fromarray(pixels).save(tmp_path / part / str(label) / f"{number}.png")
    study = yaml.safe_load((ROOT / "configs/studies/cifar10_own_rates.yaml").read_text())
    study |= {"baseline": "flat", "norms": {"flat": study["norms"]["flat"]}}
    study["smoke"]["scores"] = {"num_fake": 40}
    study["grids"]["own_rates"] |= {"seed": [0]}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(study))
    words = ["study", str(tmp_path / "plan.yaml"), "--smoke", "--out", str(tmp_path / "out")]
    command = [sys.executable, str(ROOT / "train_gan.py"), *words, "--", "--data.path", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 runs." in (tmp_path / "out/report.md").read_text()
    (curves,) = tmp_path.glob("out/runs/*/metrics.csv")
    assert "discriminator/overfitting" in curves.read_text() and ",fid" in curves.read_text()
