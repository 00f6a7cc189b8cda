"""How a folder of images is laid out: splits, classes, files."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from gan_convnorm.errors import BadInput
from gan_convnorm.image_files import EXTENSIONS, is_image, listed

__all__ = ["LAYOUTS", "Listing", "find_splits", "hold_out"]

#: names of the held-out folder beside train/, the first that is there is taken
HELD_OUT = ("test", "val", "valid", "validation")
LAYOUTS = (
    "train/CLASS/*.jpg with test/CLASS/*.jpg or val/CLASS/*.jpg, the same without classes, CLASS/*.jpg, or *.jpg "
    f"(endings: {', '.join(EXTENSIONS)})"
)


@dataclass(frozen=True)
class Listing:
    """Image files of a split.

    Attributes:
        paths: below the data set's folder, sorted.
        labels: the class of each, by the names' order; empty without classes.
        classes: names of the classes.
    """

    paths: tuple[str, ...]
    labels: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()

    def take(self, rows: list[int]) -> Listing:
        labels = tuple(self.labels[row] for row in rows) if self.labels else ()
        return Listing(tuple(self.paths[row] for row in rows), labels, self.classes)


def find_splits(folder: Path) -> tuple[Listing, Listing | None]:
    """The train split and, where a folder holds one, the test split.

    With a folder train/ that is the train split, and the first of test/, val/, valid/ and validation/ the test split;
    else all is the train split. Folders with images are classes, labelled by the order of their names; a single one is
    no class. Files and folders whose names begin with a dot are not looked at, nor folders without images.

    Raises:
        BadInput: no folder, no images, images beside class folders, classes of test that train does not have.
    """
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise BadInput(f"{folder} {what}; expected a folder of images: {LAYOUTS}")
    train_folder = folder / "train"
    if not train_folder.is_dir():
        return _listing(folder, folder), None
    train = _listing(folder, train_folder)
    held_out = next((folder / name for name in HELD_OUT if (folder / name).is_dir()), None)
    if held_out is None:
        return train, None
    test = _listing(folder, held_out)
    if test.classes != train.classes:
        raise BadInput(
            f"{held_out} has {_classes(test)} and {train_folder} has {_classes(train)}; expected the same class "
            "folders in both"
        )
    return train, test


def hold_out(listing: Listing, fraction: float, seed: int) -> tuple[Listing, Listing | None]:
    """Split off the `round(fraction * N)` files, at least one, whose hashed names are the smallest.

    The order of SHA-256(seed, path) depends on no file's content and not on the other files, so that a new file moves
    at most one other to another split.
    """
    if fraction == 0:
        return listing, None
    number = len(listing.paths)
    if number < 2:
        raise BadInput(
            f"there is one image, {listing.paths[0]}, and no other to hold out for a test split; test_fraction=0 "
            "(--data.test_fraction 0) does without"
        )

    def place(row: int) -> bytes:
        return hashlib.sha256(f"{seed} {listing.paths[row]}".encode()).digest()

    held_out = set(sorted(range(number), key=place)[: max(1, round(fraction * number))])
    rows = range(number)
    return listing.take([r for r in rows if r not in held_out]), listing.take(sorted(held_out))


def _listing(root: Path, folder: Path) -> Listing:
    folders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    of_class = {p.name: files for p in folders if (files := _below(root, p))}
    direct = sorted(
        os.path.relpath(p, root) for p in folder.iterdir() if is_image(p) and not p.name.startswith(".") and p.is_file()
    )
    if direct and of_class:
        raise BadInput(
            f"{folder} holds images ({listed(direct)}) and folders of images ({listed(list(of_class))}); expected one "
            f"of them: {LAYOUTS}"
        )
    if len(of_class) == 1:
        (direct,) = of_class.values()
    if direct:
        return Listing(tuple(direct))
    if not of_class:
        raise BadInput(f"there are no images in {folder} or in a folder below it; expected {LAYOUTS}")
    paths = [path for files in of_class.values() for path in files]
    labels = [label for label, files in enumerate(of_class.values()) for _ in files]
    return Listing(tuple(paths), tuple(labels), tuple(of_class))


def _below(root: Path, folder: Path) -> list[str]:
    """Files at any depth; the walk follows links, as a folder of chosen pictures may be made of them."""
    found = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = os.path.relpath(parent, root)
        found += [f"{below}/{name}" for name in names if is_image(Path(name)) and not name.startswith(".")]
    return sorted(found)


def _classes(listing: Listing) -> str:
    return f"{len(listing.classes)} classes ({listed(listing.classes)})" if listing.classes else "no class folders"
