"""Good files for cases to spoil: short runs, an export, images, arrays. Made once, copied for each case."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from bad_input_cases.case import SHORT, SHORT_CLASSIFIER

__all__ = ["make_assets"]

#: writes a file when it is imported, built or called; what a checkpoint names must not do that
CANARY = """
import os
import pathlib

pathlib.Path(os.environ["CANARY"]).write_text("sung")

import pytorch_lightning as pl
from torch import nn

from gan_convnorm.layers import Norm
from gan_convnorm.networks import Networks, SNGANDiscriminator, SNGANGenerator


def norm(layer):
    return layer


own_networks = Networks(SNGANGenerator, SNGANDiscriminator)
own_norm = Norm()


class Callback(pl.Callback):
    pass


class Data(pl.LightningDataModule):
    pass
"""
PLAN = """name: small
norms:
  none: {model: {architecture: {disc_norm: none}}}
  spectral: {model: {architecture: {disc_norm: spectral}}}
config: {model: {architecture: {width: 0.05}, optimization: {steps: 2}}, scores: {num_fake: 20}}
grids:
  main: {seed: [0, 1]}
"""


def make_assets(folder: Path) -> None:
    """Write everything, in processes of their own, so that this one stays without threads."""
    (folder / "cache").mkdir(parents=True)
    (folder / "canary.py").write_text(CANARY)
    (folder / "plan.yaml").write_text(PLAN)
    for make in (_images, _runs, _classifier):
        _in_a_fork(folder, make)


def _in_a_fork(folder: Path, make: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.chdir(folder)
            os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
            with contextlib.redirect_stdout(io.StringIO()), (folder / "log").open("a") as log:
                os.dup2(log.fileno(), 2)
                make()
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError(f"an asset could not be made:\n{(folder / 'log').read_text()[-3000:]}")
    (folder / "log").unlink()


def _images() -> None:
    import numpy as np
    import torch
    from PIL import Image

    random = np.random.default_rng(0)
    for number in range(24):
        for path in (f"photos/{'ab'[number % 2]}/{number:02}.png", f"flat/{number:02}.png"):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 255, (16, 16), dtype=np.uint8)).save(path)
    images = random.integers(0, 255, (24, 16, 16), dtype=np.uint8)  # grey, as the digits that the extractor knows
    np.savez("arrays.npz", images=images, labels=np.arange(24) % 2)
    torch.save({"images": torch.from_numpy(images), "labels": torch.arange(24) % 2}, "tensors.pt")


def _runs() -> None:
    from gan_convnorm.cli import main
    from gan_convnorm.cli.export import main as export

    main(shlex.split(f"fit --disc-norm convnorm {SHORT} --steps 4 --out trained"))
    main(shlex.split(f"fit {SHORT} --data folder --data.path photos --resolution 16 --conditional --out of-photos"))
    export(shlex.split("trained/last.ckpt exported --no-program"))
    sys.path.insert(0, ".")
    os.environ["CANARY"] = "sung"
    main(shlex.split(f"fit --disc-norm canary:norm {SHORT} --out own-norm"))
    Path("sung").unlink()
    weights = next(Path("cache/gan_convnorm").glob("labelled-classifier-*-1437-images-*"))  # of the digits
    Path("extractor.pt").write_bytes(weights.read_bytes())


def _classifier() -> None:
    from gan_convnorm.cli.classify import main

    main(shlex.split(f"fit {SHORT_CLASSIFIER} --out classifier"))
