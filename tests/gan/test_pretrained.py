"""A GAN in a folder or on the Hugging Face Hub: the same images again, no code from files, a true card."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from forked_program import ForkedProgram
from short_training import small_gan

import gan_convnorm
from gan_convnorm import GAN
from gan_convnorm.errors import BadInput

CASES = {
    "plain": {"disc_norm": "convnorm"},
    "classes": {"conditional": True, "num_classes": 5, "attention": 8, "channels": 3},
    "plan": {
        "plan": {"bottom": 3, "generator": [8, 8, 8], "discriminator": [[8, True], [8, False]]},
        "resolution": 12,
        "width": 1.0,
    },
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def trained(**options):
    """A GAN whose current and averaged weights, statistics and step are no longer new."""
    gan = small_gan(**{"seed": 3} | options)
    with torch.no_grad():
        for parameter in gan.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    for network in (gan.generator, gan.generator_ema):
        labels = None if gan.num_classes is None else torch.arange(4)
        network.train()(torch.randn(4, gan.latent_dim), labels)
    gan.g_step = 12
    return gan.eval()


@pytest.fixture
def saved(tmp_path):
    gan = trained()
    gan.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize("case", CASES)
def test_a_folder_gives_the_same_gan(case, tmp_path):
    gan = trained(**CASES[case])
    files = gan.save_pretrained(tmp_path / "made")
    assert {path.name for path in files} == {path.name for path in (tmp_path / "made").iterdir()}
    for load in (GAN.from_pretrained, gan_convnorm.load):
        found = load(tmp_path / "made")
        assert isinstance(found, GAN) and not found.training and found.g_step == 12
        assert found.hparams == gan.hparams
        for ema in (True, False):
            assert torch.equal(found.sample(5, ema=ema), gan.sample(5, ema=ema))
        images = torch.rand(3, gan.hparams["channels"], gan.hparams["resolution"], gan.hparams["resolution"])
        labels = None if gan.num_classes is None else torch.arange(3)
        with torch.no_grad():
            assert torch.equal(found.discriminator(images, labels), gan.discriminator(images, labels))


@pytest.mark.slow
def test_another_process_loads_it_without_huggingface_hub(saved, tmp_path):
    """And the import of the GAN does not import it."""
    code = (
        "import sys; from gan_convnorm import GAN; assert 'huggingface_hub' not in sys.modules; "
        "sys.modules['huggingface_hub'] = None; import torch; "
        "torch.save(GAN.from_pretrained(sys.argv[1]).sample(4), sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, str(saved), str(tmp_path / "images.pt")], check=True)
    assert torch.equal(torch.load(tmp_path / "images.pt"), GAN.from_pretrained(saved).sample(4))


def test_a_name_on_the_hub_without_huggingface_hub_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(BadInput, match=re.escape("python -m pip install huggingface_hub")):
        GAN.from_pretrained("someone/digits")
    with pytest.raises(BadInput, match=re.escape("python -m pip install huggingface_hub")):
        small_gan().push_to_hub("someone/digits")


@pytest.fixture
def cache(saved, tmp_path):
    """The saved GAN in a cache of downloads, in huggingface_hub's layout."""
    pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    repository = tmp_path / "cache" / "models--someone--digits"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(saved / name, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return tmp_path / "cache"


def test_a_cached_repository_loads_without_the_network(cache, saved):
    for revision in (None, "main", COMMIT):
        found = GAN.from_pretrained("someone/digits", cache_dir=cache, local_files_only=True, revision=revision)
        assert torch.equal(found.sample(4), GAN.from_pretrained(saved).sample(4))
    with pytest.raises(BadInput, match="the Hub does not give someone/other"):
        GAN.from_pretrained("someone/other", cache_dir=cache, local_files_only=True)
    (cache / "models--someone--digits" / "snapshots" / COMMIT / "model.safetensors").unlink()
    with pytest.raises(BadInput, match=r"there is no file .*model.safetensors"):
        GAN.from_pretrained("someone/digits", cache_dir=cache, local_files_only=True)


def print_shape(cache):
    print(tuple(GAN.from_pretrained("someone/digits", cache_dir=cache).sample(2).shape))


@pytest.mark.slow
def test_the_hubs_offline_mode_reads_the_cache(cache):
    program = ForkedProgram(print_shape, cache, HF_HUB_OFFLINE="1")
    assert program.end() == 0, program.printed
    assert program.printed.strip() == "(2, 1, 16, 16)"


class FakeApi:
    """Records the uploads of `huggingface_hub.HfApi`, and keeps a copy of the folder."""

    calls: list

    def __init__(self, token=None, library_name=None):
        FakeApi.calls = [("api", token)]

    def create_repo(self, repo_id, private, exist_ok):
        FakeApi.calls.append(("create", repo_id, private, exist_ok))
        return SimpleNamespace(repo_id=repo_id)

    def upload_folder(self, *, repo_id, repo_type, folder_path, commit_message, revision, create_pr):
        shutil.copytree(folder_path, "uploaded")
        FakeApi.calls.append(("upload", repo_id, repo_type, commit_message, revision, create_pr))
        return f"https://huggingface.co/{repo_id}/commit/1"


def test_push_to_hub_uploads_what_save_pretrained_writes(monkeypatch, working_folder):
    hub = pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    monkeypatch.setattr(hub, "HfApi", FakeApi)
    gan = trained()
    address = gan.push_to_hub("someone/digits", license="mit", private=True, token="secret", create_pr=True)
    assert address == "https://huggingface.co/someone/digits/commit/1"
    assert FakeApi.calls == [
        ("api", "secret"),
        ("create", "someone/digits", True, True),
        ("upload", "someone/digits", "model", "A GAN trained with gan_convnorm", None, True),
    ]
    assert torch.equal(GAN.from_pretrained("uploaded").sample(3), gan.sample(3))
    card = Path("uploaded/README.md").read_text()
    assert 'GAN.from_pretrained("someone/digits")' in card and "license: mit" in card
    assert "secret" not in "".join(path.read_text(errors="replace") for path in Path("uploaded").iterdir())


@pytest.mark.slow
def test_what_the_hub_refuses_is_one_line(monkeypatch):
    hub = pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")

    class Refusing(FakeApi):
        def create_repo(self, **arguments):
            raise OSError("401 Client Error.\n\nInvalid credentials")

    monkeypatch.setattr(hub, "HfApi", Refusing)
    with pytest.raises(BadInput, match=r"does not take someone/digits \(OSError: 401 Client Error. Invalid"):
        small_gan().push_to_hub("someone/digits")


def test_bad_folders_are_one_line(saved, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "canary", raising=False)  # another test may have trusted it
    config = json.loads((saved / "config.json").read_text())

    def changed(name, change):
        folder = tmp_path / name
        shutil.copytree(saved, folder)
        change(folder)
        with pytest.raises(BadInput) as error:
            GAN.from_pretrained(folder)
        assert "\n" not in str(error.value)
        return str(error.value)

    def with_model(**changes):
        run = config["run"] | {"model": config["run"]["model"] | changes}
        return lambda folder: (folder / "config.json").write_text(json.dumps(config | {"run": run}))

    architecture = config["run"]["model"]["architecture"]
    assert "there is no file" in changed("a", lambda folder: (folder / "config.json").unlink())
    assert "is not JSON" in changed("b", lambda folder: (folder / "config.json").write_text("{"))
    assert "has no entry 'run'" in changed("c", lambda folder: (folder / "config.json").write_text("[1]"))
    assert "--trust canary" in changed("d", with_model(architecture=architecture | {"disc_norm": "canary:norm"}))
    assert "--trust canary" in changed("e", with_model(architecture=architecture | {"network": "canary:Pair"}))
    assert "width 'wide'; expected a number" in changed("f", with_model(architecture=architecture | {"width": "wide"}))
    assert "does not know" in changed("g", with_model(nonsense=1))
    assert "has the shape" in changed("h", with_model(architecture=architecture | {"width": 0.1}))
    cut = (saved / "model.safetensors").read_bytes()[:999]
    assert "is damaged" in changed("i", lambda folder: (folder / "model.safetensors").write_bytes(cut))
    assert "g_step" in changed(
        "j", lambda folder: (folder / "config.json").write_text(json.dumps(config | {"g_step": -1}))
    )
    assert "canary" not in sys.modules


def test_names_that_are_neither_and_folders_with_files_are_refused(saved):
    with pytest.raises(BadInput, match=r"expected a folder of GAN\.save_pretrained, or user/name on the Hub"):
        GAN.from_pretrained("no/such/folder")
    before = (saved / "config.json").read_bytes()
    with pytest.raises(BadInput, match="is not empty"):
        small_gan().save_pretrained(saved)
    assert (saved / "config.json").read_bytes() == before


def run_folder(path, **summary):
    """The files of a run that the card reads, as `gan_convnorm fit` writes them."""
    path.mkdir()
    config = {
        "init_from": "/home/me/first/best.ckpt",
        "data": {"class_path": "a.Digits", "init_args": {"batch_size": 8}},
    }
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    protocol = {"extractor": "classifier", "fake": "EMA samples", "n_fake": 20, "reference": "my|digits", "n_real": 90}
    written = {"protocol": protocol, "final": None, "g_steps": 20, "commit": "abc", "versions": {"torch": "2.14"}}
    (path / "summary.json").write_text(json.dumps(written | summary))
    (path / "metrics.csv").write_text("step,fid,isc,isc_std\n12,3.5,6.25,0.5\n20,2.5,7.0,0.5\n")
    return path


def front_matter(card):
    _, text, body = card.split("---\n", 2)
    return yaml.safe_load(text), body


def test_the_card_states_the_runs_scores_at_the_checkpoints_step(tmp_path):
    trained().save_pretrained(tmp_path / "made", run=run_folder(tmp_path / "run"), license="cc0-1.0")
    metadata, body = front_matter((tmp_path / "made" / "README.md").read_text())
    assert metadata["license"] == "cc0-1.0" and metadata["library_name"] == "gan_convnorm"
    assert metadata["pipeline_tag"] == "unconditional-image-generation"
    assert metadata["metrics"] == ["fid", "inception_score"]
    (result,) = metadata["model-index"][0]["results"]
    assert [(each["type"], each["value"]) for each in result["metrics"]] == [("fid", 3.5), ("inception_score", 6.25)]
    for line in (
        "| FID | 3.50 |",
        "| IS | 6.25 +- 0.50 |",
        "20 EMA samples against 90 my\\|digits; classifier features; n = 1 run.",
        "| data | my\\|digits (90 images) |",
        "| resolution | 16x16, channels 1 |",
        "| discriminator's normalization | spectral |",
        "| started from | first/best.ckpt |",
        "| licence | cc0-1.0 |",
        'GAN.from_pretrained("made")',
    ):
        assert line in body, line
    assert str(tmp_path) not in body


def test_the_card_of_a_run_that_test_images_scored_names_the_training_images(tmp_path):
    protocol = {
        "extractor": "classifier",
        "fake": "samples",
        "n_fake": 20,
        "reference": "cats test images",
        "n_real": 9,
    }
    run = run_folder(tmp_path / "run", protocol=protocol)
    config = yaml.safe_load((run / "config.yaml").read_text()) | {"trainer": {"precision": "bf16-mixed"}}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    trained().save_pretrained(tmp_path / "made", run=run)
    body = front_matter((tmp_path / "made" / "README.md").read_text())[1]
    assert "| data | cats training images |" in body and "| precision | bf16-mixed |" in body
    assert "20 samples against 9 cats test images" in body


def test_a_finished_runs_card_has_the_final_scores(tmp_path):
    final = {
        "values": {"fid": 1.25},
        "protocol": {"extractor": "inception", "fake": "EMA samples", "n_fake": 50000, "reference": "x", "n_real": 9},
    }
    gan = trained()
    gan.g_step = 20
    gan.save_pretrained(tmp_path / "made", run=run_folder(tmp_path / "run", final=final))
    _, body = front_matter((tmp_path / "made" / "README.md").read_text())
    assert "| FID | 1.25 |" in body and "50000 EMA samples against 9 x; inception features" in body


def test_without_a_run_the_card_claims_no_scores(saved):
    metadata, body = front_matter((saved / "README.md").read_text())
    assert metadata["license"] == "unknown" and "metrics" not in metadata and "None are recorded." in body


def test_a_damaged_run_is_refused_before_anything_is_written(tmp_path):
    run = run_folder(tmp_path / "run", protocol={"n_fake": 1})
    with pytest.raises(BadInput, match=r"summary.json has scores without numbers or protocol"):
        trained().save_pretrained(tmp_path / "made", run=run)
    assert not (tmp_path / "made").exists()


def test_the_hubs_own_reader_takes_the_card(tmp_path):
    hub = pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    trained().save_pretrained(tmp_path / "made", run=run_folder(tmp_path / "run"), license="mit")
    card = hub.ModelCard((tmp_path / "made" / "README.md").read_text())
    assert card.data.license == "mit" and card.data.library_name == "gan_convnorm"
    fid, _ = card.data.eval_results
    assert (fid.metric_type, fid.metric_value, fid.dataset_name) == ("fid", 3.5, "my|digits")
