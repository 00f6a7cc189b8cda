"""The scores' command line and functions: folders, array files, checkpoints, options, caches."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bad_input_cases.case import Case, call, command, touch
from bad_input_cases.checkpoint_edits import bytes_changed, cut
from bad_input_cases.pictures import harmless, in_folders, loop, picture, spoilers

__all__ = ["CASES"]

BY = "--extractor classifier --extractor-weights extractor.pt"


def scores(words: str, what: str, says: str = "", **more: Any) -> Case:
    return command("fidelity", f"{words} {BY}", what, says, **more)


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


def other_content() -> None:
    """Valid cache files whose content is of something else: right types, wrong numbers of images."""
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


def evaluate(fakes: Any, real: Any, **options: Any) -> Any:
    from gan_convnorm.fidelity import evaluate

    options = {"extractor": "classifier", "extractor_weights": "extractor.pt", **options}
    return evaluate(fakes, real, **options)


def bytes_of(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def tensors(what: str, fakes: Any, says: str, **options: Any) -> Case:
    return call(
        "evaluate", what, lambda: evaluate(fakes(), bytes_of(24, 3, 16, 16), **options), says, needs="extractor.pt"
    )


def spoil_copy(spoil: Any, name: str = "spoiled") -> None:
    shutil.copytree("flat", name)
    spoil(Path(name))


NOT_THERE = [
    ("none flat", "folder that is not there", "none"),
    ("flat none", "reference that is not there", "none"),
    ("empty flat", "folders without pictures", "empty"),
    ("plan.yaml flat", "fakes that are text", "plan.yaml"),
    ("flat plan.yaml", "reference that is text", "plan.yaml"),
    ("flat trained/last.ckpt", "reference that is a checkpoint", "last.ckpt"),
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
    command("fidelity", "flat flat --extractor vgg", "unknown extractor", "vgg.*choose one of"),
    command(
        "fidelity", "flat flat --extractor classifier", "classifier without labels", "labelled|--extractor-weights"
    ),
    command("fidelity", "flat flat --extractor inception --extractor-weights none.pt", "no weights file", "none.pt"),
    command(
        "fidelity",
        "flat flat --extractor inception --extractor-weights extractor.pt",
        "other network's weights",
        "extractor.pt",
    ),
    command(
        "fidelity", "flat flat --extractor inception --extractor-weights flat", "weights that are a folder", "flat"
    ),
    command(
        "fidelity",
        "flat flat --extractor classifier --extractor-weights trained/last.ckpt",
        "weights that are a checkpoint",
        "last.ckpt",
    ),
    *(
        scores(
            "flat spoiled",
            f"{what} among the real ones",
            "spoiled|zz",
            prepare=lambda spoil=spoil: spoil_copy(spoil),
            needs="flat",
            quick=what in ("a FIFO", "a picture of 16-bit RGB"),
        )
        for what, spoil in spoilers.items()
        if what != "a folder that ends as a picture does"
    ),
    *(
        scores(
            "flat spoiled --skip-bad",
            f"{what} left out",
            expect="accepted",
            prints="FID",
            prepare=lambda spoil=spoil: spoil_copy(spoil),
            needs="flat",
        )
        for what, spoil in spoilers.items()
        if what.startswith(("a FIFO", "a cut", "a link", "text"))
    ),
    *(
        scores(
            "flat spoiled",
            f"{what} among the real ones",
            expect="accepted clear",
            prints="FID",
            prepare=lambda spoil=spoil: spoil_copy(spoil),
            needs="flat",
        )
        for what, spoil in harmless.items()
    ),
    *(
        scores(
            "spoiled flat",
            f"24 images and {what}, which is none",
            expect="accepted",
            prints=r"\b24 images of spoiled",
            prepare=lambda spoil=spoil: spoil_copy(spoil),
            needs="flat",
        )
        for what, spoil in (
            *(
                (k, harmless[k])
                for k in ("a file of text", "a .DS_Store", "a picture's other fork", "checkpoints of a notebook")
            ),
            ("a loop of folders", loop),
        )
    ),
    scores(
        "flat pictures",
        "pictures of different sizes",
        "--resize",
        prepare=lambda: spoil_copy(picture("zz.png", size=(20, 30)), "pictures"),
        needs="flat",
    ),
    scores(
        "flat one",
        "one real image",
        "2 or more",
        prepare=lambda: (Path("one").mkdir(), shutil.copy("flat/00.png", "one")),
    ),
    scores("one flat", "one fake", "2|two", prepare=lambda: (Path("one").mkdir(), shutil.copy("flat/00.png", "one"))),
    scores(
        "photos flat",
        "loop of folders",
        expect="accepted",
        prints=r"\b24 images",
        prepare=in_folders("photos/a", loop),
        quick=True,
    ),
    scores(
        "linked flat",
        "class folders that are links",
        expect="accepted",
        prints=r"\b24 images",
        needs="photos",
        prepare=lambda: (
            Path("linked").mkdir(),
            *(Path("linked", c).symlink_to(Path("photos", c).resolve()) for c in "ab"),
        ),
    ),
    scores("flat flat", "folder against itself", expect="accepted", prints=r"FID 0\.00"),
    scores(
        "photos flat",
        "pictures beside class folders",
        "photos",
        expect="clear accepted",
        prints=r"\b25 images",
        prepare=lambda: shutil.copy("photos/a/00.png", "photos/zz.png"),
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
    *(
        command(
            "validate",
            "--ckpt_path trained/last.ckpt",
            f"cache {what}",
            expect="accepted",
            prints="FID 114|FID 1[0-2]",
            prepare=prepare,
            quick=what == "of other content",
        )
        for what, prepare in (
            ("of other content", other_content),
            ("with other features", wrong_features),
            ("of text", in_cache(lambda path: path.write_text("text"))),
            ("of empty files", in_cache(lambda path: path.write_text(""))),
            ("of FIFOs", in_cache(into_fifo)),
            ("of folders", in_cache(lambda path: (path.unlink(), path.mkdir()))),
        )
    ),
    tensors("fakes of floats", lambda: torch.rand(24, 3, 16, 16), "float"),
    tensors("fakes without channels", lambda: bytes_of(24, 16, 16), "shape|\\(24"),
    tensors("fakes with five channels", lambda: bytes_of(24, 5, 16, 16), "5"),
    tensors("no fakes", lambda: bytes_of(0, 3, 16, 16), "0|no "),
    tensors("fakes that are a number", lambda: 5, "int|5"),
    tensors("fakes that are None", lambda: None, "None"),
    tensors("fakes that are a list", lambda: [1, 2], "list"),
    tensors("function that gives no images", lambda: lambda noise: noise, "float|uint8", num_fake=24),
    tensors("function that gives nothing", lambda: lambda noise: None, "None", num_fake=24),
    tensors("unknown metric", lambda: bytes_of(24, 3, 16, 16), "fod", metrics="fod"),
    tensors("metrics that are a number", lambda: bytes_of(24, 3, 16, 16), "5", metrics=5),
    tensors("unknown extractor", lambda: bytes_of(24, 3, 16, 16), "nonsense", extractor="nonsense"),
]
