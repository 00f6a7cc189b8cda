"""The features that this room's tests score by."""

import pytest

from gan_convnorm.fidelity import create_extractor


@pytest.fixture(scope="module")
def extractor(digits):
    """Return the classifier's extractor, trained on the digits."""
    return create_extractor("classifier", labelled=digits.train_set.tensors)
