"""Text files that anyone may have written."""

from __future__ import annotations

from pathlib import Path

from gan_convnorm.errors import BadInput

__all__ = ["read_text"]


def read_text(path: Path, expected: str, most_bytes: int = 2**20) -> str:
    """Return the text of a file as UTF-8, in any locale, without the mark that some programs begin it with.

    >>> read_text(Path("no such file"), "the config.yaml of a run")
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: there is no file no such file; expected the config.yaml of a run

    Args:
        path: the file.
        expected: the kind of file, for messages, such as "the config.yaml of a run".
        most_bytes: a longer file is refused unread.

    Raises:
        BadInput: there is none, it is a folder, pipe or device, it is longer, or it is not UTF-8.
    """
    try:
        if not path.exists():
            raise BadInput(f"there is no file {path}; expected {expected}")
        if not path.is_file():
            raise BadInput(f"{path} is {'a folder' if path.is_dir() else 'no regular file'}; expected {expected}")
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); expected {expected}") from error
    if len(data) > most_bytes:
        raise BadInput(f"{path} has more than {most_bytes / 2**20:g} MiB; expected {expected}")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not text in UTF-8 (byte {error.start}); expected {expected}") from error
