"""The image files below a folder, found by one rule for training and for scoring."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gan_convnorm.errors import BadInput
from gan_convnorm.files.names import listed, shown
from gan_convnorm.images.decoding import ENDINGS, kind_of_file

__all__ = ["HELD_OUT", "TRAIN", "ImageFolder", "list_images"]

#: names of split folders, in lower case; names in one tuple mean the same split
TRAIN = ("train", "training")
HELD_OUT = (("test", "testing"), ("val", "valid", "validation"))
#: a folder that macOS puts into archives
NOT_LOOKED_AT = ("__MACOSX",)


@dataclass
class ImageFolder:
    """The image files below a folder.

    Files are regular files, or links to them, whose names end as `ENDINGS` says, in any case. A link to nothing counts,
    and reading it fails. Names that begin with a dot, and __MACOSX, are not looked at. Links to folders are followed,
    but every folder is read once: a link to one that is read already, or to one above, is passed over.

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
    walk = _Walk(found)
    filled = set()
    for path, real in sorted(walk.files()):
        *folders, _ = path.split("/")
        found.groups.setdefault(folders[0] if folders else "", []).append((path, real))
        filled |= {"/".join(folders[:depth]) for depth in (1, 2)}
    # Folders in the order of their names: in that of their paths, a-b/1 comes before a/1.
    found.groups = {name: found.groups[name] for name in sorted(found.groups)}
    found.empty = [name for name in sorted(walk.folders - filled) if "/" not in name or _names_a_split(name)]
    if not filled:
        message = f"there are no images in {shown(folder)} or in a folder below it; expected {expected}"
        raise BadInput(f"{message}; {found.passed_over()}" if found.endings or found.remarks else message)
    return found


class _Walk:
    """A walk over every folder below one, each once, whatever links there are.

    Args:
        found: gets what is passed over.

    Attributes:
        folders: paths of the folders in the first one, and of those in them.
    """

    def __init__(self, found: ImageFolder) -> None:
        self.found = found
        self.root = os.path.realpath(found.path)
        self.above = {str(parent) for parent in Path(self.root).parents}
        self.seen: dict[str, str] = {}
        self.links: list[tuple[str, str]] = []
        self.folders: set[str] = set()

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield the path below the root and the real path of every image file."""
        yield from self._below("", self.root)
        # Links last, so that a folder is found by its own path rather than by one of the links to it.
        while self.links:
            self.links.sort()
            path, real = self.links.pop(0)
            if real in self.above:
                self._remark(path, "is a link to a folder above it")
            elif real in self.seen:
                self._remark(path, f"is a link to {shown(self.seen[real] or self.found.path)}, which is read already")
            else:
                yield from self._below(path, real)

    def _below(self, path: str, real: str) -> Iterator[tuple[str, str]]:
        """Yield the files below one folder, without those behind links to folders."""
        waiting = [(path, real)]
        while waiting:
            path, real = waiting.pop()
            if real in self.seen:
                self._remark(path, f"is {shown(self.seen[real])}, which is read already")
                continue
            self.seen[real] = path
            if path and path.count("/") < 2:
                self.folders.add(path)
            try:
                with os.scandir(real) as entries:
                    for entry in entries:
                        if entry.name.startswith(".") or entry.name in NOT_LOOKED_AT:
                            continue
                        below = f"{path}/{entry.name}" if path else entry.name
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append((below, entry.path))
                        else:
                            yield from self._file(below, entry)
            except OSError as error:
                raise BadInput(f"{shown(self.found.path / path)} cannot be read ({error.strerror})") from error

    def _file(self, path: str, entry: os.DirEntry[str]) -> Iterator[tuple[str, str]]:
        real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
        if not entry.is_file(follow_symlinks=False):
            try:
                mode = entry.stat().st_mode
            except OSError:
                mode = stat.S_IFREG  # a link to nothing
            if stat.S_ISDIR(mode):
                self.links.append((path, real))
                return
            if not stat.S_ISREG(mode):
                self._remark(path, f"is {kind_of_file(mode)}")
                return
        ending = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - a million of them
        if ending[1:] in ENDINGS:
            yield path, real
        else:
            self.found.endings[shown(ending) or "no ending"] += 1

    def _remark(self, path: str, words: str) -> None:
        self.found.remarks.append(f"{shown(path)} {words}")


def _names_a_split(path: str) -> bool:
    return any(path.split("/")[0].lower() in kind for kind in (TRAIN, *HELD_OUT))


def _files(count: int) -> str:
    return "1 file was" if count == 1 else f"{count} files were"
