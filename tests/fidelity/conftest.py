import pytest

from gan_convnorm.fidelity import create_extractor


@pytest.fixture(scope="module")
def extractor(digits):
    return create_extractor("classifier", labelled=digits.train_set.tensors)
