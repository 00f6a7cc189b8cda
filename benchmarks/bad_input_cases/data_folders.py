"""Folders of images to train on, as users have them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from bad_input_cases.case import Case, command
from bad_input_cases.pictures import harmless, in_folders, loop, picture, spoilers

__all__ = ["CASES"]


def folder(words: str, what: str, says: str = "", **more: Any) -> Case:
    if "accepted" in more.get("expect", ""):
        more.setdefault("writes", "checkpoints*")
        more.setdefault("prints", "FID")
    return command("fit", f"--data folder --resolution 16 --data.path {words}", f"folder {what}", says, **more)


def splits(train: str, test: str) -> Any:
    """Return what copies the photos to training and test folders with other names, both with two classes."""

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


def two_classes() -> bool:
    """Return whether the run has two classes, so that no split was taken for a class."""
    (config,) = Path("checkpoints/runs").glob("*/summary.json")
    return json.loads(config.read_text())["hyperparameters"]["num_classes"] == 2


CASES = [
    folder("photos", "that is right", expect="accepted"),
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
            quick=what == "a picture of 16-bit RGB",
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
        folder(
            "photos",
            f"with {what}",
            expect="accepted clear",
            prepare=in_folders("photos/a", spoil),
            quick=what == "a FIFO",
        )
        for what, spoil in harmless.items()
    ),
    folder("photos", "with a loop of folders", expect="accepted", prepare=in_folders("photos/a", loop)),
    folder("photos", "with a folder that holds itself", expect="accepted", prepare=in_folders("photos", loop)),
    folder(
        "photos --conditional",
        "with an empty class",
        expect="clear accepted",
        says="class",
        prints=r"\bb\b",
        prepare=one_class_empty,
    ),
    folder(
        "photos --extractor classifier --conditional",
        "with a single class that holds pictures",
        "class",
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
]
