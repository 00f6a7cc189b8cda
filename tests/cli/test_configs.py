"""Every file of configs/ trains, studies by their smoke; the presets of published runs have the published settings."""

import itertools
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from torch.utils.data import TensorDataset

from gan_convnorm.cli import main
from gan_convnorm.data import DATA
from gan_convnorm.data.torchvision_data import TorchvisionData
from gan_convnorm.fidelity import classifier
from gan_convnorm.study import read_study

CONFIGS = {
    path.stem: yaml.safe_load(path.read_text()) for path in (Path(__file__).parents[2] / "configs").glob("*.yaml")
}
DIGITS = sorted(name for name in CONFIGS if "digits" in name)
PRESETS = sorted(set(CONFIGS) - set(DIGITS))
STUDY_FILES = Path(__file__).parents[2] / "configs/studies"
STUDIES = sorted(path.stem for path in STUDY_FILES.glob("*.yaml"))
SMALL = ["--steps", "1", "--batch-size", "2", "--model.optimization.gen_batch_size", "2", "--out", "run"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(classifier, "EPOCHS", 1)  # the scores' meaning is not in question here


@pytest.fixture
def stand_in(monkeypatch):
    """Noise where the data set's files would be read; its class, arguments and shapes are the config's."""

    def read_split(self, train):
        count = 6 if train else 4
        images = torch.randint(0, 256, (count, self.channels, self.resolution, self.resolution), dtype=torch.uint8)
        labels = () if self.num_classes is None else (torch.arange(count) % self.num_classes,)
        return TensorDataset(images, *labels)

    for data in DATA.values():
        if issubclass(data, TorchvisionData):
            monkeypatch.setattr(data, "read_split", read_split)
            monkeypatch.setattr(data, "prepare_data", lambda self: None)


def path(name):
    return str(Path(__file__).parents[2] / "configs" / f"{name}.yaml")


def run_length(model):
    training = model["optimization"]
    return training["steps"], training["gen_batch_size"], model["architecture"]["head_bias"]


@pytest.mark.parametrize("name", DIGITS)
def test_digits_config_trains(name, capsys):
    main(["--config", path(name), "--width", "0.25", "--num-fake", "20", *SMALL])
    assert "G step 1: FID" in capsys.readouterr().out


@pytest.fixture
def photos(tmp_path):
    """A folder of noise for the studies of folders."""
    random = torch.Generator().manual_seed(0)
    for part, label, number in itertools.product(("train", "test"), range(2), range(24)):
        file = tmp_path / "photos" / part / str(label) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(torch.randint(0, 256, (16, 16, 3), dtype=torch.uint8, generator=random).numpy()).save(file)
    return ["--data.path", str(tmp_path / "photos")]


@pytest.mark.filterwarnings("ignore:FID of")
@pytest.mark.parametrize("study", STUDIES)
def test_the_smoke_of_a_study_trains(study, photos, capsys):
    """A run of the last norm of the file, as `study --smoke` has it; the first is the same in most files."""
    definition = read_study(STUDY_FILES / f"{study}.yaml").for_smoke()
    norm = list(definition.norms)[-1]
    config = next(point.config for point in definition.points() if point.norm == norm)
    Path("run.yaml").write_text(yaml.safe_dump(config))
    words = photos if config.get("data", {}).get("class_path", "").endswith("Folder") else []
    main(["--config", "run.yaml", "--out", "run", "--num-fake", "40", *words])
    assert "G step 4: FID" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:FID of")
@pytest.mark.parametrize("name", PRESETS)
def test_preset_trains(name, stand_in, capsys):
    side = {"cifar10": 32, "cifar100": 32, "stl10": 48, "celeba64": 64, "lsun128": 128}[
        name.split("_")[-1 if name.endswith("cifar10") else 1]
    ]
    images, labels = torch.randint(0, 256, (20, 3, side, side), dtype=torch.uint8), torch.arange(20) % 2
    # Features of a network of seconds in place of Inception's.
    scores = ["--extractor", "classifier", "--extractor-weights", str(classifier.trained_weights(images, labels))]
    small = ["--width", "0.03", "--num-fake", "4", "--scores.isc_splits", "2"]
    main(["--config", path(name), *scores, *small, *SMALL])
    config = CONFIGS[name]
    data = DATA[config["data"]["class_path"].split(".")[-1].lower()]
    out = capsys.readouterr().out
    reference = {"train-50k": "6 {} train images", "test-5k": "4 {} test images"}[config["scores"]["protocol"]]
    title = "lsun-bedroom" if data.name == "lsun" else data.name
    assert (
        f"4 {'EMA samples' if config['scores']['weights'] == 'both' else 'samples'} against {reference.format(title)}"
        in out
    )
    assert "G step 1" in out


def test_presets_are_the_published_settings():
    names = [
        f"sngan_{data}_{norm}"
        for data in ("cifar10", "cifar100", "stl10", "celeba64", "lsun128")
        for norm in ("spectral", "convnorm")
    ]
    assert sorted([*names, "mimicry_sngan_cifar10", "official_sngan_cifar10"]) == PRESETS
    for name in PRESETS:
        config, text = CONFIGS[name], Path(path(name)).read_text()
        model = config["model"]
        training = model["optimization"]
        assert (training["gen_lr"], training["disc_lr"], model["architecture"]["width"]) == (2e-4, 2e-4, 1.0)
        assert training["n_dis"] == (2 if "lsun" in name else 5)
        assert config["data"]["init_args"]["batch_size"] == 64
        assert config["scores"]["extractor"] == "inception"
        assert "FID " in text and "IS " in text, "the reference score"
    for name in names[::2]:
        model = CONFIGS[name]["model"]
        model |= {"architecture": model["architecture"] | {"disc_norm": "convnorm"}}
        assert CONFIGS[name.replace("spectral", "convnorm")] == CONFIGS[name] | {"model": model}
    for name in PRESETS:
        if "whose settings these are" in (text := Path(path(name)).read_text()):  # torch-mimicry's
            model, data = CONFIGS[name]["model"], name.split("_")[1]
            assert run_length(model) == (100000, 64, True)
            assert "mimicry_sngan_cifar10.yaml" in text and data in ("cifar100", "stl10", "celeba64", "lsun128")
    # The networks' own differences from torch-mimicry's, which no setting takes back.
    text = " ".join(Path(path("mimicry_sngan_cifar10")).read_text().split())
    assert all(word in text for word in ("dequantized", "bilinearly", "relu(x)"))
    official, mimicry = CONFIGS["official_sngan_cifar10"]["model"], CONFIGS["mimicry_sngan_cifar10"]["model"]
    assert run_length(official) == (50000, 128, False)
    assert run_length(mimicry) == (100000, 64, True)


def test_a_data_set_has_its_own_resolution(capsys):
    """Not that of the digits, which are the default."""
    with pytest.raises(SystemExit):
        main(["--data", "celeba", "--print_config"])
    assert yaml.safe_load(capsys.readouterr().out)["data"]["init_args"]["resolution"] == 64
