"""The wheel works installed outside the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_metadata_is_complete(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(n for n in names if n.endswith("METADATA"))).decode()
    for line in ("Name: gan-convnorm", "License-Expression: MIT", "Requires-Python: >=3.11", "Summary: "):
        assert line in metadata.replace("Name: gan_convnorm", "Name: gan-convnorm")
    assert "Requires-Dist: pytorch-lightning>=2.6.6" in metadata
    assert any(n.endswith("LICENSE") for n in names)
    assert {"gan_convnorm/py.typed", "gan_convnorm/cli/fit_config.yaml"} <= set(names)
    assert not [n for n in names if n.startswith(("tests", "configs", "benchmarks"))]


@pytest.mark.slow
def test_installed_command_trains(wheel, tmp_path, cache_folder):
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(pip, check=True)
    # The dependencies are those of this environment; its own copy of the package comes second.
    (site,) = environment.glob("lib/*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    where = tmp_path / "elsewhere"
    where.mkdir()
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"XDG_CACHE_HOME": str(cache_folder)}

    def run(*command):
        return subprocess.run(command, cwd=where, env=variables, capture_output=True, text=True, check=True).stdout

    found = run(python, "-c", "from importlib.util import find_spec; print(find_spec('gan_convnorm').origin)")
    assert Path(found.strip()).is_relative_to(site)
    flags = ["--disc-norm", "convnorm", "--steps", "1", "--width", "0.05", "--batch-size", "4", "--num-fake", "20"]
    assert "G step 1: FID" in run(environment / "bin" / "gan-convnorm", *flags)
    assert (where / "checkpoints/runs/digits-convnorm-seed0/last.ckpt").is_file()
