"""The scores' command line and functions: folders, array files, checkpoints, options, caches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bad_input_cases.case import Case, call, command, touch
from bad_input_cases.checkpoint_edits import bytes_changed, cut

__all__ = ["CASES"]

BY = "--extractor classifier --extractor-weights extractor.pt"


def scores(words: str, what: str, says: str = "", **more: Any) -> Case:
    return command("score", f"{words} {BY}", what, says, **more)


def empty_folders() -> None:
    Path("empty/a").mkdir(parents=True)
    Path("empty/b").mkdir()


def arrays(path: str, **named: Any) -> Any:
    def prepare() -> None:
        if path.endswith(".npy"):
            np.save(path, named["images"])
        else:
            np.savez(path, **named)

    return prepare


def evaluate(fakes: Any, real: Any, **options: Any) -> Any:
    from gan_convnorm.fidelity import evaluate

    options = {"extractor": "classifier", "extractor_weights": "extractor.pt", **options}
    return evaluate(fakes, real, **options)


def bytes_of(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def tensors(fakes: Any, what: str, says: str, **options: Any) -> Case:
    return call(
        "evaluate", lambda: evaluate(fakes(), bytes_of(24, 3, 16, 16), **options), what, says, needs="extractor.pt"
    )


NOT_THERE = [
    ("none flat", "folder that is not there", "none"),
    ("flat none", "reference that is not there", "none"),
    ("empty flat", "folders without pictures", "empty"),
    ("plan.yaml flat", "fakes that are text", "plan.yaml"),
    ("flat plan.yaml", "reference that is text", "plan.yaml"),
    ("flat trained/last.ckpt --num-fake abc", "reference that is a checkpoint, of a word's images", "num-fake"),
    ("classifier/last.ckpt flat", "checkpoint of a classifier", "last.ckpt"),
    ("trained flat --num-fake 20", "run folder", "trained"),
    ("flat /dev/zero", "reference that is a device", "/dev/zero"),
    ("flat flat --metrics fod", "unknown metric", "fod.*(choose|one of|expected)"),
    ("flat flat --metrics ''", "no metric", "metric"),
    ("flat flat --num-fake abc", "word for a number", "num-fake.*abc"),
    ("flat flat --batch-size 0", "batch of zero", "batch.size is 0"),
    ("flat flat --batch-size -5", "batch below zero", "batch.size is -5"),
    ("flat flat --isc-splits 0", "no splits", "splits.*0"),
    ("flat flat --isc-splits -1", "splits below zero", "splits.*-1"),
    ("flat flat --isc-splits 100", "more splits than images", "100 splits"),
    ("flat flat --metrics kid --kid-subset-size 0", "subsets of none", "subset.size.*0"),
    ("flat flat --metrics kid --kid-subset-size 1", "subsets of one", "subset.size.*1"),
    ("flat flat --metrics kid --kid-subset-size -5", "subsets below zero", "subset.size.*-5"),
    ("flat flat --metrics kid --kid-subset-size 1000", "subsets larger than the sets", "subset.size.*1000"),
    ("flat flat --resize 0", "side of zero", "resize is 0"),
    ("flat flat --resize -3", "side below zero", "resize is -3"),
    ("flat flat --resize 1000000", "side of a million", "resize"),
    ("flat flat --device nonsense", "unknown device", "nonsense"),
    ("flat flat --device cuda", "GPU where there is none", "cuda"),
    ("flat flat --device cpu:7", "eighth CPU", "cpu:7"),
    ("flat flat --json none/scores.json", "JSON into no folder", "none"),
    ("flat flat --json flat", "JSON onto a folder", "flat"),
    ("trained/last.ckpt flat --num-fake 0", "no fakes", "num.fake"),
    ("trained/last.ckpt flat --num-fake -2", "fakes below zero", "num.fake"),
    ("trained/last.ckpt flat --num-fake 20 --seed -1", "negative seed", "seed"),
    ("trained/last.ckpt flat --num-fake 20 --seed 99999999999999999999", "seed of 67 bits", "seed"),
    ("flat flat --nonsense", "unknown flag", "--nonsense"),
    ("flat", "no reference", "real"),
    ("", "nothing to score", "fakes"),
]

CASES = [
    *(
        scores(words, what, says, prepare=empty_folders if "empty" in words else None)
        for words, what, says in NOT_THERE
    ),
    command("score", "flat flat --extractor vgg", "unknown extractor", "vgg.*choose one of"),
    command("score", "flat flat --extractor inception --extractor-weights none.pt", "no weights file", "none.pt"),
    command(
        "score",
        "flat flat --extractor inception --extractor-weights extractor.pt",
        "other network's weights",
        "extractor.pt",
    ),
    command("score", "flat flat --extractor inception --extractor-weights flat", "weights that are a folder", "flat"),
    command(
        "score",
        "flat flat --extractor classifier --extractor-weights trained/last.ckpt",
        "weights that are a checkpoint",
        "last.ckpt",
    ),
    scores("arrays.npz flat", "fakes in an array file", expect="accepted", prints=r"\b24 "),
    scores(
        "images.npy flat",
        "fakes in one array",
        expect="accepted",
        prints=r"\b24 ",
        prepare=lambda: np.save("images.npy", np.load("arrays.npz")["images"]),
        needs="arrays.npz",
    ),
    scores("a.npz flat", "array file without images", "a.npz", prepare=arrays("a.npz", nonsense=np.zeros(3))),
    scores(
        "a.npz flat", "array file of floats", "a.npz.*float", prepare=arrays("a.npz", images=np.zeros((8, 16, 16, 3)))
    ),
    scores(
        "a.npz flat",
        "array file of vectors",
        "a.npz",
        prepare=arrays("a.npz", images=np.zeros((8, 16), dtype=np.uint8)),
    ),
    scores(
        "a.npz flat",
        "array file of no images",
        "a.npz",
        prepare=arrays("a.npz", images=np.zeros((0, 16, 16, 3), dtype=np.uint8)),
    ),
    scores("a.npy flat", "array of floats", "a.npy.*float", prepare=arrays("a.npy", images=np.zeros((8, 16, 16, 3)))),
    scores("arrays.npz flat", "cut array file", "arrays.npz", prepare=cut("arrays.npz")),
    scores("arrays.npz flat", "damaged array file", "arrays.npz", prepare=bytes_changed("arrays.npz")),
    *(
        scores(
            f"flat flat --json {target}",
            f"JSON onto {what}",
            f"{target}.*--overwrite|--overwrite.*{target}",
            prepare=prepare,
            needs=needs,
            quick=what == "a checkpoint",
        )
        for target, what, prepare, needs in (
            ("trained/last.ckpt", "a checkpoint", None, ""),
            ("flat/00.png", "a picture", None, ""),
            ("notes.json", "somebody's JSON", lambda: touch("notes.json", '{"mine": 1}'), ""),
        )
    ),
    scores(
        "flat flat --json scores.json",
        "JSON of its own run",
        expect="accepted",
        writes="scores.json",
        holds=lambda: "fid" in json.loads(Path("scores.json").read_text())["values"],
    ),
    scores(
        "flat flat --json scores.json --overwrite",
        "JSON that may be replaced",
        expect="accepted",
        writes="scores.json",
        prepare=lambda: touch("scores.json"),
        holds=lambda: "fid" in json.loads(Path("scores.json").read_text())["values"],
    ),
    tensors(lambda: torch.rand(24, 3, 16, 16), "fakes of floats", "float"),
    tensors(lambda: bytes_of(24, 16, 16), "fakes without channels", "shape|\\(24"),
    tensors(lambda: bytes_of(24, 5, 16, 16), "fakes with five channels", "5"),
    tensors(lambda: bytes_of(0, 3, 16, 16), "no fakes", "0|no "),
    tensors(lambda: 5, "fakes that are a number", "int|5"),
    tensors(lambda: None, "fakes that are None", "None"),
    tensors(lambda: [1, 2], "fakes that are a list", "list"),
    tensors(lambda: lambda noise: noise, "function that gives no images", "float|uint8", num_fake=24),
    tensors(lambda: lambda noise: None, "function that gives nothing", "None", num_fake=24),
    tensors(lambda: bytes_of(24, 3, 16, 16), "unknown metric", "fod", metrics="fod"),
    tensors(lambda: bytes_of(24, 3, 16, 16), "unknown extractor", "nonsense", extractor="nonsense"),
]
