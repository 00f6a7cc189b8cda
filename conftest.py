"""Fixtures of every test and doctest, and the rule that says which tests are quick."""

import os
from pathlib import Path

# Set before torch is imported, and inherited by the processes that tests start: two workers share the cores, and those
# processes import the package of this checkout.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]).rstrip(
    os.pathsep
)

import pytest
import torch

# --doctest-modules would import each of them again, under one name.
collect_ignore_glob = ["*conftest.py"]

COMMAND_LINE = Path(__file__).parent / "tests" / "cli"


@pytest.hookimpl(tryfirst=True)  # before -m selects by markers
def pytest_collection_modifyitems(items):
    """Mark each test as quick or slow, so that `-m quick` selects the quick ones.

    A test is quick unless it is marked slow. Most tests of the command line train, so there a test is slow unless it is
    marked quick.
    """
    for item in items:
        known = item.get_closest_marker("slow") or item.get_closest_marker("quick")
        if known is None:
            item.add_marker(pytest.mark.slow if item.path.parent == COMMAND_LINE else pytest.mark.quick)


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """Keep the user's cache untouched; the classifier is trained once for all tests of a worker."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def seeded():
    """Start every test from the same random numbers."""
    torch.manual_seed(0)
