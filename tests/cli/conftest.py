import pytest
from program_runs import TWO_STEPS

from gan_convnorm.cli import main
from gan_convnorm.cli.classify import main as classify


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def short_runs(tmp_path_factory):
    """A folder with a GAN's and a classifier's run of two steps, `gan` and `classifier`."""
    folder = tmp_path_factory.mktemp("short_runs")
    main([*TWO_STEPS, "--out", str(folder / "gan")])
    words = ["--epochs", "1", "--width", "0.25", "--evaluation.corruptions", "none", "--attacks", "none"]
    classify([*words, "--out", str(folder / "classifier"), "--trainer.limit_train_batches", "2"])
    return folder
