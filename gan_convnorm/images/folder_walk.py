"""A walk over the image files below a folder, whatever links there are."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from gan_convnorm.errors import BadInput
from gan_convnorm.files.names import shown
from gan_convnorm.images.formats import ENDINGS
from gan_convnorm.images.regular_files import kind_of_file

__all__ = ["FolderWalk"]

#: a folder that macOS puts into archives
NOT_LOOKED_AT = ("__MACOSX",)


class FolderWalk:
    """A walk over every folder below one, each once, whatever links there are.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "1.png").touch()
    ...     Path(folder, "again").symlink_to(folder)
    ...     walk = FolderWalk(Path(folder))
    ...     [path for path, _ in walk.files()], len(walk.remarks)
    (['1.png'], 1)

    Args:
        path: the folder.

    Attributes:
        folders: paths of the folders in the first one, and of those in them.
        endings: endings of files that are no images, and how many there are of each.
        remarks: all else that was passed over, in words.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = os.path.realpath(path)
        self.endings: Counter[str] = Counter()
        self.remarks: list[str] = []
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
                self._remark(path, f"is a link to {shown(self.seen[real] or self.path)}, which is read already")
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
                raise BadInput(f"{shown(self.path / path)} cannot be read ({error.strerror})") from error

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
            self.endings[shown(ending) or "no ending"] += 1

    def _remark(self, path: str, words: str) -> None:
        self.remarks.append(f"{shown(path)} {words}")
