"""A trained module as a folder of the Hugging Face layout: configuration, weights, model card, samples."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any, Self

import torch

from gan_convnorm.devices import usable_device
from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.files.plain_json import read_json
from gan_convnorm.files.text import read_text
from gan_convnorm.files.weights_file import read_weights, write_weights
from gan_convnorm.gan.hub import download, upload
from gan_convnorm.gan.model_card import model_card
from gan_convnorm.gan.sampling import Sampler
from gan_convnorm.images.grid import save_grid
from gan_convnorm.run_folder import RUN, FromCheckpoint, claim_folder, folder_locks, repeat_advice

__all__ = ["CONFIG", "WEIGHTS", "Pretrained"]

CONFIG, WEIGHTS, CARD, SAMPLES = "config.json", "model.safetensors", "README.md", "samples.png"
#: images in samples.png, and in one of its rows
SHOWN, COLUMNS = 40, 10


class Pretrained(Sampler, FromCheckpoint):
    """A module that is saved to a folder or to the Hugging Face Hub, and loaded from there.

    The methods have the names of huggingface_hub's `ModelHubMixin`. That is no base class here: a local folder needs no
    huggingface_hub, and the mixin builds a model from settings that nothing has checked.
    """

    g_step: int

    @classmethod
    def from_pretrained(
        cls,
        name: str | PathLike[str],
        *,
        device: torch.device | str = "cpu",
        trust: Sequence[str] = (),
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> Self:
        """Return a trained module, in evaluation mode.

        The files choose no code: they may name the normalizations and networks of this package alone, and modules in
        `trust`.

        >>> from gan_convnorm import GAN
        >>> GAN.from_pretrained("checkpoints/digits_convnorm").sample(2).shape
        torch.Size([2, 1, 16, 16])

        Args:
            name: a folder that `save_pretrained` has written, or "user/name" on the Hub.
            device: where it runs.
            trust: modules of your own that the configuration may name, such as ("my_norms",).
            revision: branch, tag or commit on the Hub; its newest when not given.
            cache_dir: folder of downloads; huggingface_hub's own when not given.
            force_download: download again what the cache holds.
            local_files_only: take the cache's files alone, without the network.
            token: for private repositories; True for the one that `hf auth login` has stored.

        Raises:
            BadInput: no such folder or repository; a damaged or foreign file; code that is not trusted; weights of
                another network, or NaN; a device that is not here; a name on the Hub without huggingface_hub.
        """
        device, folder = usable_device(device), Path(name)
        if not folder.is_dir():
            folder = download(
                str(name),
                (CONFIG, WEIGHTS),
                revision=revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token,
            )
        path = folder / CONFIG
        config = read_json(read_text(path, "what GAN.save_pretrained writes"), str(path))
        if not isinstance(config, dict) or not isinstance(config.get(RUN), dict):
            raise BadInput(f"{path} has no entry {RUN!r} with settings; expected what GAN.save_pretrained writes")
        checkpoint = {**config, "state_dict": read_weights(folder / WEIGHTS)}
        return cls.from_content(checkpoint, path, device, trust=trust)

    def save_pretrained(
        self,
        folder: str | PathLike[str],
        *,
        run: str | PathLike[str] | None = None,
        license: str | None = None,
    ) -> list[Path]:
        """Write config.json, model.safetensors, README.md (the model card) and samples.png.

        Args:
            folder: where to write; a new or an empty one.
            run: the run's folder, from which the card takes data, settings and scores; it omits them when not given.
            license: of the weights, by its identifier on the Hub, such as "mit".

        Returns:
            The files.

        Raises:
            BadInput: the folder has files, or the run's are damaged.
        """
        folder = Path(folder)
        # The card may be read anywhere, and a whole path is this machine's.
        return self._save(folder, folder.name if folder.is_absolute() else folder.as_posix(), run, license)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        run: str | PathLike[str] | None = None,
        license: str | None = None,
        commit_message: str = "A GAN trained with gan_convnorm",
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool | None = None,
    ) -> str:
        """Upload what `save_pretrained` writes to the Hugging Face Hub, in one commit.

        Args:
            repo_id: "user/name"; made if it is not there.
            run: see `save_pretrained`.
            license: see `save_pretrained`.
            commit_message: of the commit.
            private: a new repository is private; public, or as the organization has it, when not given.
            token: the one that `hf auth login` has stored when not given.
            branch: main when not given.
            create_pr: open a pull request with the commit.

        Returns:
            The commit's address.

        Raises:
            BadInput: no huggingface_hub; a name other than user/name; a Hub that refuses or cannot be reached.
        """
        with tempfile.TemporaryDirectory() as folder:
            self._save(Path(folder), repo_id, run, license)
            return upload(
                Path(folder),
                repo_id,
                commit_message=commit_message,
                private=private,
                token=token,
                branch=branch,
                create_pr=create_pr,
            )

    def _save(self, folder: Path, name: str, run: str | PathLike[str] | None, license_name: str | None) -> list[Path]:
        config: dict[str, Any] = {"library_name": "gan_convnorm", "gan_convnorm": version("gan_convnorm")}
        self.on_save_checkpoint(config)
        card = model_card(config, name, Path(run) if run is not None else None, license_name)
        with folder_locks(repeat_advice):
            folder = claim_folder(folder)
            write_weights(self.state_dict(), folder / WEIGHTS)
            for path, text in ((folder / CONFIG, json.dumps(config, indent=2) + "\n"), (folder / CARD, card)):
                with atomic_write(path) as part:
                    part.write_text(text, encoding="utf-8")
            save_grid(self.sample(SHOWN), folder / SAMPLES, COLUMNS)
        return [folder / file for file in (CONFIG, WEIGHTS, CARD, SAMPLES)]
