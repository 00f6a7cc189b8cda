"""Data to train on: folders and array files as people have them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bad_input_cases.case import Case, command, touch
from bad_input_cases.checkpoint_edits import bytes_changed, cut
from bad_input_cases.pictures import harmless, in_folders, loop, picture, spoilers

__all__ = ["CASES"]

ARRAYS = "--data gan_convnorm.data.Arrays --data.path"


def folder(words: str, what: str, says: str = "", **more: Any) -> Case:
    if "accepted" in more.get("expect", ""):
        more.setdefault("writes", "checkpoints*")
        more.setdefault("prints", "FID")
    return command("fit", f"--data folder --resolution 16 --data.path {words}", f"folder {what}", says, **more)


def arrays(words: str, what: str, says: str = "", **more: Any) -> Case:
    if "accepted" in more.get("expect", ""):
        more.setdefault("writes", "checkpoints*")
    return command("fit", f"{ARRAYS} {words}", f"arrays {what}", says, **more)


def npz(**named: Any) -> Any:
    return lambda: np.savez("bad.npz", **named)


def pt(content: Any) -> Any:
    return lambda: torch.save(content, "bad.pt")


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)


def splits(train: str, test: str) -> Any:
    """Photos as train and test folders of other names, with pictures of only two classes."""

    def prepare() -> None:
        for name in (train, test):
            shutil.copytree("photos", f"split/{name}")

    return prepare


def one_class_empty() -> None:
    for path in Path("photos/b").iterdir():
        path.unlink()


def poisoned_pictures(text: str) -> Any:
    def prepare() -> None:
        for path in Path(os.environ["XDG_CACHE_HOME"], "gan_convnorm").glob("images-*.json"):
            path.write_text(text)

    return prepare


def fewer_kept() -> None:
    for path in Path(os.environ["XDG_CACHE_HOME"], "gan_convnorm").glob("images-*.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"kept": [10**6] * len(content["kept"])}))


def other_pixels() -> None:
    for path in Path(os.environ["XDG_CACHE_HOME"], "gan_convnorm").glob("images-*.raw"):
        path.write_bytes(bytes(len(path.read_bytes())))


def two_classes() -> bool:
    """No class of the run is called as a split is."""
    (config,) = Path("checkpoints/runs").glob("*/summary.json")
    return json.loads(config.read_text())["hyperparameters"]["num_classes"] == 2


def text_zip() -> None:
    import zipfile

    with zipfile.ZipFile("old.npz", "w") as archive:
        archive.writestr("images.npy", "text")


CASES = [
    folder("photos", "that is right", expect="accepted", quick=True),
    folder("none", "that is not there", "none"),
    folder("plan.yaml", "that is a file", "plan.yaml"),
    folder("empty", "without pictures", "empty", prepare=lambda: Path("empty").mkdir()),
    folder("/dev/null", "that is a device", "/dev/null"),
    folder("photos --data.channels 2", "in two channels", "channels.*2"),
    folder("photos --data.fit squeeze", "of unknown fit", "fit.*squeeze"),
    folder("photos --data.test_fraction 1", "all held out", "test_fraction.*1"),
    folder("photos --data.test_fraction -0.1", "less than nothing held out", "test_fraction.*-0.1"),
    folder("photos --data.test_fraction nan", "NaN held out", "test_fraction.*nan"),
    folder("photos --resolution 0", "of no pixels", "resolution.*0"),
    folder(
        "one",
        "with one picture",
        "one",
        prepare=lambda: (Path("one").mkdir(), shutil.copy("photos/a/00.png", "one")),
        needs="photos",
    ),
    *(
        folder(
            "photos",
            f"with {what}",
            "zz",
            prepare=in_folders("photos/a", spoil),
            quick=what in ("a FIFO", "a picture of 16-bit RGB"),
        )
        for what, spoil in spoilers.items()
        if what != "a folder that ends as a picture does"
    ),
    *(
        folder(
            "photos --data.skip_bad true",
            f"with {what}, left out",
            expect="accepted",
            prepare=in_folders("photos/a", spoil),
        )
        for what, spoil in spoilers.items()
        if what.startswith(("a FIFO", "a link to", "a cut"))
    ),
    *(
        folder("photos", f"with {what}", expect="accepted clear", prepare=in_folders("photos/a", spoil))
        for what, spoil in harmless.items()
    ),
    folder("photos", "with a loop of folders", expect="accepted", prepare=in_folders("photos/a", loop), quick=True),
    folder("photos", "with a folder that holds itself", expect="accepted", prepare=in_folders("photos", loop)),
    folder(
        "photos --conditional",
        "with an empty class",
        expect="clear accepted",
        says=r"\bb\b.*empty|empty.*\bb\b",
        prints=r"\bb\b",
        prepare=one_class_empty,
    ),
    folder(
        "photos --extractor classifier --conditional",
        "with a single class that holds pictures",
        r"\bb\b|single|one class",
        prepare=one_class_empty,
    ),
    folder(
        "photos",
        "with pictures beside its classes",
        "photos.*zz|zz.*photos",
        prepare=lambda: shutil.copy("photos/a/00.png", "photos/zz.png"),
    ),
    folder(
        "linked",
        "whose classes are links",
        expect="accepted",
        needs="photos",
        prepare=lambda: (
            Path("linked").mkdir(),
            *(Path("linked", c).symlink_to(Path("photos", c).resolve()) for c in "ab"),
        ),
    ),
    *(
        folder(
            "split",
            f"with {train}/ and {test}/",
            expect="accepted clear",
            says=f"{train}|{test}",
            prepare=splits(train, test),
            needs="photos",
            prints=r"(?s)^(?!.*\b96 ).*FID",
            holds=two_classes,
        )
        for train, test in (("Train", "Test"), ("training", "testing"), ("TRAIN", "VAL"))
    ),
    folder(
        "split",
        "with other classes to test on",
        "class",
        prepare=lambda: (splits("train", "test")(), shutil.rmtree("split/test/b")),
        needs="photos",
    ),
    folder(
        "photos",
        "with pictures of many sizes",
        expect="accepted",
        prepare=in_folders("photos/a", picture("zz.png", size=(1, 900))),
    ),
    *(
        folder("photos", f"whose cache is {what}", expect="accepted", prepare=prepare, needs="photos")
        for what, prepare in (
            ("text", poisoned_pictures("text")),
            ("a list", poisoned_pictures("[1]")),
            ("a mapping of nonsense", poisoned_pictures('{"kept": ["a"], "bad": 5, "notes": []}')),
            ("of numbers that are not there", fewer_kept),
        )
    ),
    arrays("arrays.npz", "that are right", expect="accepted", prints="FID"),
    arrays("none.npz", "that are not there", "none.npz"),
    arrays("photos", "that are a folder", "photos"),
    arrays("plan.yaml", "that are text", "plan.yaml"),
    arrays("trained/last.ckpt", "that are a checkpoint", "last.ckpt"),
    arrays("arrays.npz", "that are cut", "arrays.npz", prepare=cut("arrays.npz")),
    arrays("arrays.npz", "that are damaged", "arrays.npz", prepare=bytes_changed("arrays.npz")),
    arrays("tensors.pt", "that are a cut tensor file", "tensors.pt", prepare=cut("tensors.pt")),
    *(
        arrays("bad.npz", what, says, prepare=npz(**named), expect=expect, quick="2e9" in what)
        for what, says, named, expect in (
            ("without images", "bad.npz", {"nonsense": np.zeros(3)}, "clear"),
            ("of floats", "float", {"images": np.zeros((8, 16, 16, 3))}, "clear"),
            ("of 16 bits", "uint16", {"images": np.zeros((8, 16, 16, 3), dtype=np.uint16)}, "clear"),
            ("of vectors", "bad.npz", {"images": pixels(8, 16)}, "clear"),
            ("of no images", "bad.npz", {"images": pixels(0, 16, 16, 3)}, "clear"),
            ("of one image", "1|one", {"images": pixels(1, 16, 16, 3)}, "clear accepted"),
            ("with two channels", "bad.npz", {"images": pixels(8, 16, 16, 2)}, "clear"),
            ("with channels on both sides", "bad.npz", {"images": pixels(8, 3, 16, 3)}, "clear"),
            ("with fewer labels", "label", {"images": pixels(8, 16, 16, 3), "labels": np.zeros(5, dtype=int)}, "clear"),
            ("with labels of floats", "label", {"images": pixels(8, 16, 16, 3), "labels": np.zeros(8)}, "clear"),
            ("with negative labels", "label", {"images": pixels(8, 16, 16, 3), "labels": np.arange(8) - 1}, "clear"),
            ("with labels of words", "label", {"images": pixels(8, 16, 16, 3), "labels": np.array(["a"] * 8)}, "clear"),
            (
                "with labels from 1",
                "label",
                {"images": pixels(8, 16, 16, 3), "labels": np.arange(8) % 2 + 1},
                "clear accepted",
            ),
            (
                "with a label 2e9",
                "label",
                {"images": pixels(8, 16, 16, 3), "labels": np.array([0] * 7 + [2 * 10**9])},
                "clear",
            ),
            (
                "with other test labels",
                "label",
                {
                    "images": pixels(8, 16, 16, 3),
                    "labels": np.zeros(8, dtype=int),
                    "test_images": pixels(2, 16, 16, 3),
                    "test_labels": np.array([0, 5]),
                },
                "clear",
            ),
            (
                "with test images of other channels",
                "channels",
                {"images": pixels(8, 16, 16, 3), "test_images": pixels(2, 16, 16)},
                "clear",
            ),
        )
    ),
    command(
        "fit",
        f"{ARRAYS} bad.npz --conditional",
        "arrays with a label 2e9 and a GAN with classes",
        "label",
        prepare=npz(images=pixels(8, 16, 16, 3), labels=np.array([0] * 7 + [2 * 10**9])),
    ),
    command(
        "fit",
        f"{ARRAYS} bad.npz --conditional",
        "arrays with labels from 1 and a GAN with classes",
        "label.*0|class 0",
        prepare=npz(images=pixels(40, 16, 16, 3), labels=np.arange(40) % 2 + 1),
        expect="clear accepted",
        prints="label.*0|class 0",
        writes="checkpoints*",
    ),
    *(
        arrays("bad.pt", f"in a .pt file, {what}", says, prepare=pt(content), expect=expect)
        for what, says, content, expect in (
            ("a number", "bad.pt", 5, "clear"),
            ("a word", "bad.pt", "text", "clear"),
            ("an empty dictionary", "bad.pt", {}, "clear"),
            ("an empty list", "bad.pt", [], "clear"),
            ("None", "bad.pt", None, "clear"),
            ("a tensor of floats", "float", torch.zeros(8, 3, 16, 16), "clear"),
            (
                "a pair with a list of labels",
                "label",
                [torch.from_numpy(pixels(8, 16, 16, 3)), [0, 1] * 4],
                "clear accepted",
            ),
            ("a pair with labels of words", "label", [torch.from_numpy(pixels(8, 16, 16, 3)), ["a"] * 8], "clear"),
            ("three tensors", "bad.pt", [torch.from_numpy(pixels(8, 16, 16, 3))] * 3, "clear accepted"),
        )
    ),
    command(
        "fit",
        f"{ARRAYS} bad.pt --conditional",
        "arrays in a pair with a list of labels and a GAN with classes",
        "label",
        prepare=pt([torch.from_numpy(pixels(40, 16, 16, 3)), [0, 1] * 20]),
        expect="clear accepted",
        writes="checkpoints*",
    ),
    command(
        "fit",
        f"{ARRAYS} old.pt",
        "arrays in a .pt file of old form",
        "old.pt",
        prepare=lambda: torch.save(
            torch.from_numpy(pixels(8, 16, 16, 3)), "old.pt", _use_new_zipfile_serialization=False
        ),
        expect="clear accepted",
        writes="checkpoints*",
    ),
    command("fit", f"{ARRAYS} old.npz", "arrays in a zip file of text", "old.npz", prepare=text_zip),
    *(
        command(
            "fit",
            f"--data {name} --data.path {path}",
            f"{name} data in {what}",
            path,
            prepare=lambda: touch("text/data_batch_1"),
        )
        for name in ("cifar10", "svhn", "celeba", "fashion_mnist", "stl10", "lsun")
        for path, what in (("none", "a folder that is not there"), ("text", "a folder of something else"))
    ),
]
