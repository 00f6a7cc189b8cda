"""A generator without its discriminator: the exported files, and what reads them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from short_training import small_gan

import gan_convnorm
from gan_convnorm.cli import main as train
from gan_convnorm.cli.export import main
from gan_convnorm.errors import BadInput
from gan_convnorm.gan.generator_file import TrainedGenerator
from gan_convnorm.gan.programs import export_onnx, export_program
from gan_convnorm.run_folder import RunSettings

CASES = {
    "plain": {},
    "classes": {"conditional": True, "num_classes": 10, "attention": 8},
    "dcgan-convnorm": {"network": "dcgan", "gen_norm": "convnorm", "channels": 3},
    "spectral": {"gen_norm": "spectral", "latent_dim": 7},
    "plan": {
        "plan": {"bottom": 3, "generator": [8, 8, 8], "discriminator": [[8, True], [8, False]]},
        "resolution": 12,
        "width": 1.0,
    },
}


def saved(folder, **options):
    """A checkpoint as a run writes it, and the trained GAN; its weights, averages and statistics are no longer new."""
    torch.manual_seed(1)
    gan = small_gan(**{"seed": 3} | options)
    for network in (gan.generator, gan.generator_ema):
        network.train()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
            labels = None if gan.num_classes is None else torch.arange(4)
            network(torch.randn(4, gan.latent_dim), labels)
    gan.g_step = 12
    checkpoint = {"state_dict": gan.state_dict(), "run": RunSettings("gan", {}, omitted=["private"]).to_dict()}
    gan.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, folder / "last.ckpt")
    return gan.eval()


@pytest.mark.parametrize("case", CASES)
def test_an_export_gives_the_checkpoints_images(case, tmp_path, capsys):
    gan = saved(tmp_path, **CASES[case])
    main([str(tmp_path / "last.ckpt"), str(tmp_path / "made")])
    assert [line.split()[0].rpartition("/")[2] for line in capsys.readouterr().out.splitlines()] == [
        "generator.safetensors",
        "generator.json",
        "generator.pt2",
    ]
    module = gan_convnorm.load(tmp_path / "made")
    assert isinstance(module, TrainedGenerator) and not module.training
    assert (module.latent_dim, module.num_classes, module.seed, module.g_step) == (
        gan.latent_dim,
        gan.num_classes,
        3,
        12,
    )
    assert torch.equal(module.sample(9), gan.sample(9))
    assert torch.equal(module.sample(3, first=4, truncation=0.7), gan.sample(3, first=4, truncation=0.7))
    program = torch.export.load(tmp_path / "made" / "generator.pt2").module()
    for count in (1, 3, 17):
        noise = torch.randn(count, gan.latent_dim)
        labels = () if gan.num_classes is None else (torch.arange(count) % 10,)
        with torch.no_grad():
            assert torch.allclose(program(noise, *labels), gan.generator_ema(noise, *labels), rtol=0, atol=1e-5)


def test_current_weights_on_request_and_nothing_private(tmp_path):
    gan = saved(tmp_path)
    main([str(tmp_path / "last.ckpt"), str(tmp_path / "made"), "--raw", "--no-program"])
    module = gan_convnorm.load(tmp_path / "made" / "generator.safetensors")
    assert torch.equal(module.sample(4, ema=False), gan.sample(4, ema=False))
    assert not torch.equal(module.sample(4, ema=False), gan.sample(4))
    with pytest.raises(BadInput, match="holds the current weights alone; give ema=False"):
        module.sample(4)
    assert "private" not in (tmp_path / "made" / "generator.json").read_text()
    assert not (tmp_path / "made" / "generator.pt2").exists()


def test_the_program_runs_without_this_package(tmp_path):
    gan = saved(tmp_path)
    path = export_program(gan.generator_ema, tmp_path / "generator.pt2")
    code = (
        "import sys, torch; made = torch.export.load(sys.argv[1]).module()(torch.ones(3, 128)); "
        "assert 'gan_convnorm' not in sys.modules; torch.save(made.detach(), sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, str(path), str(tmp_path / "made.pt")], check=True)
    with torch.no_grad():
        expected = gan.generator_ema(torch.ones(3, 128))
    assert torch.allclose(torch.load(tmp_path / "made.pt"), expected, rtol=0, atol=1e-5)


#: of every kind of generator, and one whose layers need Fourier transforms
IN_ONNX = ("plain", "classes", "dcgan-convnorm")


@pytest.mark.parametrize("case", IN_ONNX)
def test_onnxruntime_gives_the_checkpoints_images(case, tmp_path, capsys):
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package, reason="the extra onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    gan = saved(tmp_path, **CASES[case])
    main([str(tmp_path / "last.ckpt"), str(tmp_path / "made"), "--no-program", "--onnx"])
    assert capsys.readouterr().out.splitlines()[-1].split()[0] == str(tmp_path / "made" / "generator.onnx")
    assert {path.name for path in (tmp_path / "made").iterdir()} == {
        "generator.safetensors",
        "generator.json",
        "generator.onnx",
    }
    session = onnxruntime.InferenceSession(tmp_path / "made" / "generator.onnx", providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    assert names == (["latents"] if gan.num_classes is None else ["latents", "labels"])
    for count in (1, 3, 17):
        noise = torch.randn(count, gan.latent_dim)
        labels = () if gan.num_classes is None else (torch.arange(count) % 10,)
        inputs = {name: value.numpy() for name, value in zip(names, (noise, *labels), strict=True)}
        (images,) = session.run(["images"], inputs)
        assert images.dtype == "float32" and abs(images).max() <= 1 + 1e-6
        with torch.no_grad():
            expected = gan.generator_ema(noise, *labels)
        assert torch.allclose(torch.from_numpy(images), expected, rtol=0, atol=1e-4)
    assert "in [-1, 1]" in session.get_modelmeta().custom_metadata_map["images"]


def test_onnx_without_its_packages_is_one_line(tmp_path, monkeypatch, capsys):
    saved(tmp_path)
    monkeypatch.setattr("gan_convnorm.gan.programs.ONNX_PACKAGES", ("onnx_of_no_one",))
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path / "last.ckpt"), str(tmp_path / "made"), "--onnx"])
    assert stop.value.code == 2
    assert "--onnx needs onnx_of_no_one: python -m pip install" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_an_onnx_file_that_differs_is_refused(tmp_path, monkeypatch):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="the extra onnx is not installed")
    gan = saved(tmp_path)
    real = torch.export.export
    monkeypatch.setattr(
        torch.export, "export", lambda _, *args, **kwargs: real(small_gan().generator.eval(), *args, **kwargs)
    )
    with pytest.raises(BadInput, match=r"differs from the generator by .* leave out --onnx"):
        export_onnx(gan.generator_ema, tmp_path / "generator.onnx")
    assert not (tmp_path / "generator.onnx").exists()


@pytest.mark.filterwarnings("ignore:FID of")
def test_a_runs_checkpoint_becomes_a_pretrained_folder_with_its_scores(working_folder, monkeypatch, capsys):
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
    small = ["--steps", "2", "--width", "0.05", "--batch-size", "4", "--eval-every", "1"]
    train([*small, "--num-fake", "20", "--metrics", "fid", "--out", "run"])
    capsys.readouterr()
    main(["run/last.ckpt", "saved", "--pretrained", "--license", "mit"])
    assert "saved/model.safetensors" in capsys.readouterr().out
    card = Path("saved/README.md").read_text()
    fid = json.loads(Path("run/summary.json").read_text())["final"]["values"]["fid"]
    assert f"| FID | {fid:.2f} |" in card and "| data | digits train images (1437 images) |" in card
    assert "license: mit" in card and 'GAN.from_pretrained("saved")' in card
    found = gan_convnorm.GAN.from_pretrained("saved")
    assert torch.equal(found.sample(4), gan_convnorm.load("run/last.ckpt").sample(4))
    for words in (["--pretrained", "--onnx"], ["--license", "mit"]):
        with pytest.raises(SystemExit) as stop:
            main(["run/last.ckpt", "other", *words])
        assert stop.value.code == 2 and not Path("other").exists()


def test_a_program_that_differs_is_refused(tmp_path, monkeypatch):
    gan = saved(tmp_path)
    real = torch.export.export

    def other(network, *args, **kwargs):
        changed = small_gan().generator.eval()
        return real(changed, *args, **kwargs)

    monkeypatch.setattr(torch.export, "export", other)
    with pytest.raises(BadInput, match="differs from the generator by"):
        export_program(gan.generator_ema, tmp_path / "generator.pt2")
    assert not (tmp_path / "generator.pt2").exists()


def test_what_cannot_be_read_is_one_line(tmp_path, capsys):
    saved(tmp_path)
    good = tmp_path / "good"
    main([str(tmp_path / "last.ckpt"), str(good), "--no-program"])
    description = json.loads((good / "generator.json").read_text())

    def broken(name, change):
        folder = tmp_path / name
        shutil.copytree(good, folder)
        change(folder)
        with pytest.raises(BadInput) as error:
            gan_convnorm.load(folder)
        assert "\n" not in str(error.value)
        return str(error.value)

    def describe(**changes):
        text = json.dumps({k: v for k, v in (description | changes).items() if v is not None})
        return lambda folder: (folder / "generator.json").write_text(text)

    assert "there is no" in broken("a", lambda folder: (folder / "generator.json").unlink())
    assert "is not JSON" in broken("b", lambda folder: (folder / "generator.json").write_text("{"))
    assert "lack seed" in broken("c", describe(seed=None))
    assert "network 'other' is not known" in broken("d", describe(network="other"))
    assert "have 'nonsense', which this version does not know" in broken("e", describe(arguments={"nonsense": 1}))
    assert "has the shape" in broken("f", describe(arguments=description["arguments"] | {"width": 0.1}))
    cut = (good / "generator.safetensors").read_bytes()[:1000]
    assert "is damaged" in broken("g", lambda folder: (folder / "generator.safetensors").write_bytes(cut))
    for words in ([str(tmp_path / "none.ckpt"), str(tmp_path / "x")], [str(tmp_path / "last.ckpt"), str(good)]):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1
