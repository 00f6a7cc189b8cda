"""An empty folder for image files."""

import pytest


@pytest.fixture
def photos(tmp_path, own_cache):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"
