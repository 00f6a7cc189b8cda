"""Fine-tuning: the layers of a trained GAN that fit, the line about the others, and the flag."""

import shutil
from pathlib import Path

import pytest
import torch
from short_training import small_gan

from gan_convnorm.cli import main
from gan_convnorm.errors import BadInput
from gan_convnorm.gan.generator_file import write_generator
from gan_convnorm.gan.initial_weights import take_weights
from gan_convnorm.run_folder import RunSettings

WORDS = ["--steps", "1", "--width", "0.05", "--batch-size", "4", "--eval-every", "1", "--num-fake", "20"]
WORDS += ["--metrics", "fid"]


def saved(path, gan):
    """Write a checkpoint as a run does, with all its weights changed; return the path."""
    with torch.no_grad():
        for tensor in gan.state_dict().values():
            tensor.add_(1)
    checkpoint = {"state_dict": gan.state_dict(), "run": RunSettings("gan", {}).to_dict()}
    gan.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, path)
    return path


def same(one, two):
    return all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())


def test_a_checkpoint_of_the_same_networks_fits_whole(tmp_path):
    source, gan = small_gan(disc_norm="convnorm"), small_gan(disc_norm="convnorm", seed=5)
    line = take_weights(gan, saved(tmp_path / "last.ckpt", source))
    assert same(source, gan) and gan.g_step == 0
    assert line == (
        f"initial weights from {tmp_path / 'last.ckpt'}: 13 of 13 layers of the generator, 11 of 11 layers of the "
        "discriminator"
    )


def test_a_saved_folder_and_its_file_fit_whole(tmp_path):
    source = small_gan()
    saved(tmp_path / "last.ckpt", source)
    source.save_pretrained(tmp_path / "folder")
    for path in (tmp_path / "folder", tmp_path / "folder" / "model.safetensors"):
        gan = small_gan()
        take_weights(gan, path)
        assert same(source, gan)


def test_an_export_gives_both_generators_and_no_discriminator(tmp_path):
    source, gan = small_gan(), small_gan()
    saved(tmp_path / "last.ckpt", source)
    before = {name: value.clone() for name, value in gan.discriminator.state_dict().items()}
    write_generator(source.generator_ema, {}, tmp_path)
    line = take_weights(gan, tmp_path)
    assert same(source.generator_ema, gan.generator) and same(source.generator_ema, gan.generator_ema)
    assert all(torch.equal(value, before[name]) for name, value in gan.discriminator.state_dict().items())
    assert line.endswith(
        "13 of 13 layers of the generator, 0 of 11 layers of the discriminator; new: discriminator is not in the file"
    )


def test_a_resolution_grown_by_a_block_keeps_the_blocks_below(tmp_path):
    source, gan = small_gan(), small_gan(resolution=32)
    new = {name: value.clone() for name, value in gan.generator.blocks[2].state_dict().items()}
    line = take_weights(gan, saved(tmp_path / "last.ckpt", source))
    assert "; new: generator.blocks.2 is not in the file" in line
    assert "13 of 18 layers of the generator, 11 of 11 layers of the discriminator" in line
    for part in ("linear", "blocks.0", "blocks.1", "norm", "conv"):
        assert same(source.generator.get_submodule(part), gan.generator.get_submodule(part)), part
        assert same(source.generator_ema.get_submodule(part), gan.generator_ema.get_submodule(part)), part
    assert same(source.discriminator, gan.discriminator)
    assert all(torch.equal(value, new[name]) for name, value in gan.generator.blocks[2].state_dict().items())


def test_other_classes_keep_all_but_the_labels_layers(tmp_path):
    source = small_gan(conditional=True, num_classes=10)
    gan = small_gan(conditional=True, num_classes=3)
    line = take_weights(gan, saved(tmp_path / "last.ckpt", source))
    assert "discriminator.embedding has the shape (3, 6), not (10, 6)" in line
    assert same(source.discriminator.blocks, gan.discriminator.blocks)
    assert same(source.generator.conv, gan.generator.conv)
    gan.sample(4)


def test_a_layer_with_another_normalization_is_new_as_a_whole(tmp_path):
    source, gan = small_gan(disc_norm="none"), small_gan(disc_norm="spectral")
    before = {name: value.clone() for name, value in gan.discriminator.state_dict().items()}
    line = take_weights(gan, saved(tmp_path / "last.ckpt", source))
    assert "0 of 11 layers of the discriminator" in line and "has another normalization" in line
    # Not even the biases: a layer is taken whole or not at all.
    assert all(torch.equal(value, before[name]) for name, value in gan.discriminator.state_dict().items())


def test_a_file_with_nothing_that_fits_is_refused_and_changes_nothing(tmp_path):
    gan = small_gan(width=0.1, disc_norm="convnorm")
    before = {name: value.clone() for name, value in gan.state_dict().items()}
    path = saved(tmp_path / "last.ckpt", small_gan(network="dcgan", channels=3, latent_dim=7))
    with pytest.raises(BadInput, match=r"no layer of .*last.ckpt fits these networks \(generator"):
        take_weights(gan, path)
    assert all(torch.equal(value, before[name]) for name, value in gan.state_dict().items())


def test_files_without_weights_are_one_line(tmp_path):
    broken = small_gan()
    with torch.no_grad():
        broken.generator.linear.bias.fill_(float("nan"))
    saved(tmp_path / "nan.ckpt", broken)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.safetensors").write_text("text")
    for name, message in (
        ("nan.ckpt", "NaN or infinite"),
        ("none.ckpt", "there is no checkpoint"),
        ("none.safetensors", "there is no file"),
        ("empty", "has no model.safetensors and no generator.safetensors"),
        ("text.safetensors", "is damaged"),
    ):
        with pytest.raises(BadInput, match=message) as error:
            take_weights(small_gan(), tmp_path / name)
        assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
def test_the_flag_starts_a_new_run_and_a_resumed_run_goes_on_without_it(working_folder, monkeypatch, capsys):
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
    main([*WORDS, "--out", "first"])
    capsys.readouterr()
    main([*WORDS, "--init-from", "first/last.ckpt", "--out", "second", "--model.optimization.gen_lr", "1e-12"])
    assert "initial weights from first/last.ckpt: 13 of 13 layers of the generator" in capsys.readouterr().out
    first, second = (torch.load(f"{name}/last.ckpt", weights_only=True) for name in ("first", "second"))
    assert second["g_step"] == 1  # its steps begin anew
    name = "generator.linear.weight"
    assert torch.allclose(first["state_dict"][name], second["state_dict"][name], atol=1e-6)
    assert "init_from: first/last.ckpt" in Path("second/config.yaml").read_text()
    shutil.rmtree("first")
    main(["--resume", "last", "--out", "second", "--steps", "2"])
    assert "init_from: first/last.ckpt" in Path("second/config.yaml").read_text()  # as the run began
    with pytest.raises(SystemExit):
        main(["--resume", "last", "--out", "second", "--steps", "3", "--init-from", "other.ckpt"])
    assert "--init-from is other.ckpt, and a resumed run has weights of its own" in capsys.readouterr().err
    main(["--config", "second/config.yaml", "--resume", "last", "--out", "second", "--steps", "3"])
    assert "initial weights" not in capsys.readouterr().out
    assert torch.load("second/last.ckpt", weights_only=True)["g_step"] == 3


@pytest.mark.slow
def test_a_refused_start_leaves_no_folder(working_folder, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*WORDS, "--init-from", "none.ckpt", "--out", "made"])
    assert stop.value.code == 2 and "there is no checkpoint none.ckpt" in capsys.readouterr().err
    assert not Path("made").exists()
