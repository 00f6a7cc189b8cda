"""Cache files whose content was replaced."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

import torch

from bad_input_cases.case import call

__all__ = ["CASES"]


def other_content() -> None:
    """Replace cached features by valid files about another number of images."""
    for path in Path(os.environ["XDG_CACHE_HOME"], "gan_convnorm").glob("*.pt"):
        content = torch.load(path, weights_only=True)
        if "count" in content:
            torch.save({"count": 3}, path)


def wrong_features() -> None:
    for path in Path(os.environ["XDG_CACHE_HOME"], "gan_convnorm").glob("*.pt"):
        content = torch.load(path, weights_only=True)
        if "count" in content:
            layer = next(key for key in content if key != "count")
            torch.save({**content, "count": 7, layer: torch.zeros(3)}, path)


def in_cache(action: Any) -> Any:
    def prepare() -> None:
        for path in list(Path(os.environ["XDG_CACHE_HOME"], "gan_convnorm").iterdir()):
            action(path)

    return prepare


def into_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def same_score() -> None:
    """Score the trained run and compare with the score of its training."""
    from gan_convnorm.cli import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        main(["validate", "--ckpt_path", "trained/last.ckpt"])
    print(said.getvalue())
    expected = json.loads(Path("trained/summary.json").read_text())["last"]["fid"]
    assert f"FID {expected:.2f}" in said.getvalue(), f"expected FID {expected:.2f} in {said.getvalue()}"


SPOILED = [
    ("of other content", other_content),
    ("with other features", wrong_features),
    ("of text", in_cache(lambda path: path.write_text("text"))),
    ("of empty files", in_cache(lambda path: path.write_text(""))),
    ("of FIFOs", in_cache(into_fifo)),
    ("of folders", in_cache(lambda path: (path.unlink(), path.mkdir()))),
]
CASES = [
    call(
        "validate",
        same_score,
        f"cache {what}",
        expect="accepted",
        prepare=prepare,
        needs="trained",
        quick=what == "of other content",
    )
    for what, prepare in SPOILED
]
