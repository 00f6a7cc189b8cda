"""Data and weights that several rooms' tests share."""

import pytest
import torch

from gan_convnorm.data import Digits


@pytest.fixture(scope="session")
def digits():
    """Return the digits as the default run trains on them."""
    data = Digits()
    data.setup()
    return data


@pytest.fixture
def working_folder(tmp_path, monkeypatch):
    """Run the test in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """Give the test an empty cache; return its folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gan_convnorm"


@pytest.fixture(scope="session")
def inception_weights(tmp_path_factory, digits):
    """Return a file with random weights for torch-fidelity's InceptionV3, and let it look at 75x75 pixels, not 299x299.

    The weights are scaled by the digits: features of unscaled random weights are about 1e-10.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    with pytest.MonkeyPatch.context() as small:
        small.setattr(FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", 75)  # the least that its layers take
        with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
            torch.manual_seed(0)
            patch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *a, **k: {})
            patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
            network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
            for module in network.modules():
                if isinstance(module, torch.nn.Conv2d):
                    torch.nn.init.kaiming_normal_(module.weight)
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = None
                    module.train()
            with torch.no_grad():
                network(digits.train_set.tensors[0][:16].expand(-1, 3, -1, -1))
        torch.save(network.state_dict(), path)
        yield path
