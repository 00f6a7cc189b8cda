"""Folders on the Hugging Face Hub, through huggingface_hub, which is imported only when it is used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from gan_convnorm.errors import BadInput, reason_of

__all__ = ["download", "upload"]

#: names on the Hub: an owner and a name, or a name alone
NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)


def download(name: str, files: Sequence[str], **options: Any) -> Path:  # noqa: ANN401
    """Return the folder in the Hub's cache with a repository's files.

    >>> download("me/digits/16", ["config.json"])  # before anything is asked of the Hub
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: there is no folder me/digits/16; expected a folder of GAN.save_pretrained, or ...

    Args:
        name: "user/name".
        files: those to fetch.
        options: of `huggingface_hub.snapshot_download`.

    Raises:
        BadInput: no such folder and no name on the Hub; no huggingface_hub; no such repository, or no connection.
    """
    if not NAME.fullmatch(name):
        raise BadInput(f"there is no folder {name}; expected a folder of GAN.save_pretrained, or user/name on the Hub")
    hub = _huggingface_hub(name)
    try:
        return Path(hub.snapshot_download(name, allow_patterns=list(files), **options))
    except Exception as error:  # of huggingface_hub, of the connection below it, of the file system
        raise BadInput(f"there is no folder {name}, and the Hub does not give {name} ({reason_of(error)})") from error


def upload(
    folder: Path,
    name: str,
    *,
    commit_message: str,
    private: bool | None = None,
    token: str | None = None,
    branch: str | None = None,
    create_pr: bool | None = None,
) -> str:
    """Upload a folder to a repository of models in one commit.

    Args:
        folder: with the files.
        name: "user/name"; made if it is not there.
        commit_message: of the commit.
        private: of a new repository.
        token: the stored one when not given.
        branch: main when not given.
        create_pr: open a pull request.

    Returns:
        The commit's address.

    Raises:
        BadInput: no huggingface_hub; the Hub refuses or is not reached.
    """
    hub = _huggingface_hub(name)
    try:
        api = hub.HfApi(token=token, library_name="gan_convnorm")
        repository = api.create_repo(repo_id=name, private=private, exist_ok=True).repo_id
        commit = api.upload_folder(
            repo_id=repository,
            repo_type="model",
            folder_path=folder,
            commit_message=commit_message,
            revision=branch,
            create_pr=create_pr,
        )
    except Exception as error:  # of huggingface_hub and of the connection below it
        raise BadInput(f"the Hub does not take {name} ({reason_of(error)})") from error
    return str(commit)


def _huggingface_hub(name: str) -> ModuleType:
    try:
        import huggingface_hub  # an extra
    except ImportError as error:
        raise BadInput(
            f"there is no folder {name}, and names on the Hub need a package: python -m pip install huggingface_hub"
        ) from error
    return huggingface_hub
