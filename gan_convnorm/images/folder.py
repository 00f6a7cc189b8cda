"""The image files below a folder, found by one rule for training and for scoring."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from gan_convnorm.errors import BadInput
from gan_convnorm.files.names import listed, shown
from gan_convnorm.images.folder_walk import FolderWalk

__all__ = ["HELD_OUT", "TRAIN", "ImageFolder", "list_images"]

#: names of split folders, in lower case; names in one tuple mean the same split
TRAIN = ("train", "training")
HELD_OUT = (("test", "testing"), ("val", "valid", "validation"))


@dataclass
class ImageFolder:
    """The image files below a folder.

    Files are regular files, or links to them, whose names end as `ENDINGS` says, in any case. A link to nothing counts,
    and reading it fails. Names that begin with a dot, and __MACOSX, are not looked at. Links to folders are followed,
    but every folder is read once: a link to one that is read already, or to one above, is passed over.

    >>> found = ImageFolder(Path("photos"), {"test": [("test/1.png", "/p/test/1.png")], "train": []})
    >>> found.splits()
    {'train': 'train', 'test': 'test'}

    Attributes:
        path: the folder.
        groups: name of a folder directly in it -> its files at any depth; "" for the files directly in it. A file is
            its path below `path`, and its real path.
        empty: folders directly in it, and directly in a split's folder, without image files.
        endings: endings of other files, and how many there are of each.
        remarks: all else that was passed over, in words.
    """

    path: Path
    groups: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)

    def group(self, name: str) -> ImageFolder:
        """Return the folder of that name in this one; paths stay below this one."""
        found = ImageFolder(self.path)
        for path, real in self.groups[name]:
            _, *parts = path.split("/")
            found.groups.setdefault(parts[0] if len(parts) > 1 else "", []).append((path, real))
        found.groups = {name: found.groups[name] for name in sorted(found.groups)}
        return found

    def files(self) -> list[tuple[str, str]]:
        """Return all files.

        Raises:
            BadInput: there are none, or images beside folders of images.
        """
        direct, folders = self.groups.get("", []), [name for name in self.groups if name]
        if direct and folders:
            raise BadInput(
                f"{shown(self.path)} holds images ({listed([path for path, _ in direct])}) and folders of images "
                f"({listed(folders)}); expected one of them"
            )
        return [file for files in self.groups.values() for file in files]

    def splits(self) -> dict[str, str]:
        """Return the folders of the splits "train" and "test"; none where no folder is named so.

        A remark names other folders that are there.

        Raises:
            BadInput: two folders that may be the same split, or a split beside folders that may be classes.
        """
        names = [name for name in self.groups if name]
        kinds = [[name for name in names if name.lower() in kind] for kind in (TRAIN, *HELD_OUT)]
        for kind in kinds:
            if len(kind) > 1:
                raise BadInput(
                    f"{shown(self.path)} holds {' and '.join(map(shown, kind))}, which name the same split; keep one"
                )
        train, held_out = kinds[0], [name for kind in kinds[1:] for name in kind]
        others = [name for name in names if name not in (*train, *held_out)]
        if others and (train or held_out) and not (train and held_out):
            raise BadInput(
                f"{shown(self.path)} holds {listed([*train, *held_out])}, by its name a split, beside folders of "
                f"images ({listed(others)}), which may be classes; name a class differently, or give the split's folder"
            )
        if not train and not held_out:
            return {}
        self.files()
        if unread := [*others, *held_out[1:]]:
            self.remarks.append(f"folders that belong to no split are not read: {listed(unread)}")
        return {split: names[0] for split, names in (("train", train), ("test", held_out)) if names}

    def passed_over(self, remark: str = "") -> str:
        """Return what was passed over and a remark, in one line; "" for nothing."""
        found = list(self.remarks)
        if self.endings:
            found.insert(0, f"{_files(self.endings.total())} passed over ({self._kinds()})")
        if self.empty:
            found.append(f"empty of images: {listed(self.empty)}")
        if remark:
            found.append(remark)
        return f"{shown(self.path)}: {'; '.join(found)}" if found else ""

    def _kinds(self) -> str:
        ordered = sorted(self.endings.items(), key=lambda item: (-item[1], item[0]))
        return listed([f"{ending} {count}" for ending, count in ordered])


def list_images(folder: Path, expected: str) -> ImageFolder:
    """Return the image files below a folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat/1.png", "dog/2.JPG", "dog/notes.txt"):
    ...         Path(folder, name).parent.mkdir(exist_ok=True)
    ...         Path(folder, name).touch()
    ...     found = list_images(Path(folder), "photos")
    >>> [path for path, _ in found.files()], dict(found.endings)
    (['cat/1.png', 'dog/2.JPG'], {'.txt': 1})

    Args:
        folder: the folder.
        expected: what a message says is expected.

    Raises:
        BadInput: no folder, one that cannot be read, or no image in it.
    """
    if not folder.is_dir():
        what = "is no folder" if os.path.lexists(folder) else "does not exist"
        raise BadInput(f"{shown(folder)} {what}; expected a folder of images: {expected}")
    found = ImageFolder(folder)
    walk = FolderWalk(folder)
    filled = set()
    for path, real in sorted(walk.files()):
        *folders, _ = path.split("/")
        found.groups.setdefault(folders[0] if folders else "", []).append((path, real))
        filled |= {"/".join(folders[:depth]) for depth in (1, 2)}
    found.endings, found.remarks = walk.endings, walk.remarks
    # Folders in the order of their names: in that of their paths, a-b/1 comes before a/1.
    found.groups = {name: found.groups[name] for name in sorted(found.groups)}
    found.empty = [name for name in sorted(walk.folders - filled) if "/" not in name or _names_a_split(name)]
    if not filled:
        message = f"there are no images in {shown(folder)} or in a folder below it; expected {expected}"
        raise BadInput(f"{message}; {found.passed_over()}" if found.endings or found.remarks else message)
    return found


def _names_a_split(path: str) -> bool:
    return any(path.split("/")[0].lower() in kind for kind in (TRAIN, *HELD_OUT))


def _files(count: int) -> str:
    return "1 file was" if count == 1 else f"{count} files were"
