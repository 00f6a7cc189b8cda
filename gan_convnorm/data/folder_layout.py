"""The layout of a folder of images: splits, classes, files."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from gan_convnorm.errors import BadInput
from gan_convnorm.files.names import listed, shown
from gan_convnorm.images.folder import ImageFolder, list_images

__all__ = ["LAYOUTS", "Listing", "find_splits", "hold_out"]

LAYOUTS = (
    "train/CLASS/*.jpg with test/CLASS/*.jpg or val/CLASS/*.jpg, the same without classes, CLASS/*.jpg, or *.jpg "
    "(or png, webp, gif, tiff and others); name it with --data.path"
)


@dataclass(frozen=True)
class Listing:
    """Image files of a split.

    >>> Listing(("cat/1.png", "dog/2.png"), (0, 1), ("cat", "dog")).take([1]).paths
    ('dog/2.png',)

    Attributes:
        paths: below the data set's folder, sorted.
        labels: the class of each, by the names' order; empty without classes.
        classes: names of the classes.
    """

    paths: tuple[str, ...]
    labels: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()

    def take(self, rows: list[int]) -> Listing:
        """Return the files of these rows."""
        labels = tuple(self.labels[row] for row in rows) if self.labels else ()
        return Listing(tuple(self.paths[row] for row in rows), labels, self.classes)


def find_splits(folder: Path) -> tuple[Listing, Listing | None, str]:
    """Return the train split, the test split where a folder holds one, and a line on what was passed over, or "".

    With a folder train/ or training/, in any case, that is the train split, and test/ or testing/, else val/, valid/
    or validation/, the test split; else all is the train split. Folders with images are classes, labelled by the order
    of their names; a single one is no class. `gan_convnorm.images.folder` says which files are images.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("train/cat/1.png", "train/dog/2.png", "val/cat/3.png", "val/dog/4.png"):
    ...         Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
    ...         Path(folder, name).touch()
    ...     train, test, _ = find_splits(Path(folder))
    >>> train.classes, test.paths
    (('cat', 'dog'), ('val/cat/3.png', 'val/dog/4.png'))

    Raises:
        BadInput: no folder, no images, images beside class folders, classes of test that train does not have, folders
            of which it is not clear whether they are splits or classes.
    """
    found = list_images(folder, LAYOUTS)
    splits = found.splits()
    if not splits:
        return _listing(found), None, _passed_over(found, found)
    if "train" not in splits:
        raise BadInput(
            f"{shown(folder)} holds {shown(splits['test'])}, by its name a test split, and no train/; to train on it "
            f"give {shown(folder / splits['test'])}"
        )
    parts = [found.group(name) for name in splits.values()]
    train, *test = (_listing(part) for part in parts)
    if test and test[0].classes != train.classes:
        one, other = (shown(folder / splits[split]) for split in ("test", "train"))
        raise BadInput(
            f"{one} has {_classes(test[0])} and {other} has {_classes(train)}; expected the same class folders in both"
        )
    return train, test[0] if test else None, _passed_over(found, parts[0])


def hold_out(listing: Listing, fraction: float, seed: int) -> tuple[Listing, Listing | None]:
    """Split off the `round(fraction * N)` files, at least one, whose hashed names are the smallest.

    The order of SHA-256(seed, path) depends on no file's content and not on the other files, so that a new file moves
    at most one other to another split.

    >>> train, test = hold_out(Listing(tuple("abcdefghij")), fraction=0.2, seed=0)
    >>> len(train.paths), len(test.paths)
    (8, 2)

    Args:
        listing: the files.
        fraction: share of the files, from 0; below 1.
        seed: seeds the choice.

    Returns:
        The remaining files and the held-out ones; None for the latter if the fraction is 0.

    Raises:
        BadInput: there is a single image, or a single one of every class.
    """
    if fraction == 0:
        return listing, None
    number = len(listing.paths)
    if number < 2:
        raise BadInput(
            f"there is one image, {shown(listing.paths[0])}, and no other to hold out for a test split; "
            "test_fraction=0 (--data.test_fraction 0) does without"
        )

    def place(row: int) -> bytes:
        return hashlib.sha256(f"{seed} {listing.paths[row]}".encode("utf-8", "surrogateescape")).digest()

    rows = range(number)
    held_out: set[int] = set()
    left = Counter(listing.labels)
    for row in sorted(rows, key=place):
        if len(held_out) == min(number - 1, max(1, round(fraction * number))):
            break
        if listing.labels:
            if left[listing.labels[row]] == 1:
                continue  # a generator would be asked for a class that it has never seen
            left[listing.labels[row]] -= 1
        held_out.add(row)
    if not held_out:
        raise BadInput(
            f"each of the {len(listing.classes)} classes has one image, and none can be held out for a test split; "
            "test_fraction=0 (--data.test_fraction 0) does without"
        )
    return listing.take([r for r in rows if r not in held_out]), listing.take(sorted(held_out))


def _listing(folder: ImageFolder) -> Listing:
    paths = [path for path, _ in folder.files()]
    classes = [name for name in folder.groups if name]
    if len(classes) < 2:
        return Listing(tuple(paths))
    labels = [label for label, name in enumerate(classes) for _ in folder.groups[name]]
    return Listing(tuple(paths), tuple(labels), tuple(map(shown, classes)))


def _passed_over(found: ImageFolder, train: ImageFolder) -> str:
    names = [name for name in train.groups if name]
    if len(names) == 1 and found.empty:
        return found.passed_over(f"{shown(names[0])} is the only folder of images, and a single one gives no labels")
    return found.passed_over()


def _classes(listing: Listing) -> str:
    return f"{len(listing.classes)} classes ({listed(listing.classes)})" if listing.classes else "no class folders"
