import pytest
import torch

from gan_convnorm.data import Digits


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """The user's cache stays untouched, and the classifier is trained once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def digits():
    data = Digits()
    data.setup()
    return data


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
