"""Folders of images to score, as users have them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from bad_input_cases.pictures import harmless, in_folders, loop, picture, spoilers
from bad_input_cases.scores import scores

__all__ = ["CASES"]


def spoil_copy(spoil: Any, name: str = "spoiled") -> None:
    shutil.copytree("flat", name)
    spoil(Path(name))


CASES = [
    *(
        scores(
            "flat spoiled",
            f"{what} among the real ones",
            "spoiled|zz",
            prepare=lambda spoil=spoil: spoil_copy(spoil),
            needs="flat",
            quick=what == "a picture of 16-bit RGB",
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
            f"24 images and {what}, which is no image",
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
]
