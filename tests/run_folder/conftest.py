"""The run that other tests compare theirs with."""

import pytest
from whole_runs import WORDS

from gan_convnorm.cli import main


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The run that nobody disturbs."""
    run = tmp_path_factory.mktemp("whole") / "run"
    main([*WORDS, "--out", str(run)])
    return run
