"""The files of a GAN's run beside its checkpoints: configuration, summary, curves, and a page with all of it."""

from __future__ import annotations

import datetime
import json
import shlex
import sys
import textwrap
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import yaml
from torch import Tensor
from typing_extensions import override

from gan_convnorm.callbacks.taken_scores import TakenScores
from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.files.plain_values import is_plain
from gan_convnorm.images.grid import picture_grid
from gan_convnorm.report.class_rows import name_rows
from gan_convnorm.report.plain_table import plain_table
from gan_convnorm.report.run_about import ABOUT, changed_flags, continue_about, read_about
from gan_convnorm.report.run_page import score_cells, score_words, write_run_page
from gan_convnorm.report.run_samples import CLASSES, REAL
from gan_convnorm.run_folder import RunRecord, RunSettings
from gan_convnorm.score_table import best_row, score_rows, titles

__all__ = ["RunReport"]

PAGE_EVERY = 300  # seconds
WIDTH = 80  # characters of a line on the terminal
#: images in a row of a grid, and in a grid; rows of the picture of classes
COLUMNS, IMAGES, MOST_CLASSES = 10, 100, 20


class RunReport(RunRecord):
    """Callback that writes config.yaml, about.json and a grid of real images at the start, the results at the end.

    The results are summary.json, curves.png, report.html and a table on the terminal.

    In a long run report.html is also written after an evaluation, at most every five minutes.

    >>> report = RunReport(Path("run"), "", RunSettings("gan", {}), TakenScores("fid"))
    >>> sorted(report.state_dict())  # what a checkpoint keeps, so that a resumed run goes on counting
    ['cpu_seconds', 'seconds', 'times']

    Args:
        folder: the run's folder; it exists.
        config: the complete configuration, YAML.
        settings: the record of it that every checkpoint keeps.
        taken: the scores of the run, which another callback fills.
        defaults: the configuration of a command without flags, YAML, for the page's list of flags that differ.
    """

    packages = (*RunRecord.packages, "torchmetrics", "torch-fidelity")

    def __init__(
        self, folder: Path, config: str, settings: RunSettings, taken: TakenScores, defaults: str = ""
    ) -> None:
        super().__init__(folder, config, settings)
        self.taken = taken
        self.defaults = defaults
        self.times: list[dict[str, float]] = []
        self.page_written = time.monotonic()
        self.summary: dict[str, Any] | None = None

    @staticmethod
    @override
    def step(trainer: pl.Trainer, pl_module: pl.LightningModule) -> int:
        module: Any = pl_module
        return int(module.g_step)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "times": self.times}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        times = state_dict.get("times")
        if not isinstance(times, list) or not all(isinstance(row, dict) and is_plain(row) for row in times):
            raise BadInput(f"the checkpoint's RunReport has times {times!r:.40}; expected a list of rows")
        self.times = times

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if trainer.is_global_zero:
            about = continue_about(self._first_about(), self._about(trainer))
            self._write(ABOUT, json.dumps(about, indent=2) + "\n")
            if (images := _real_images(trainer, pl_module)) is not None:
                self._picture(images, REAL)

    def _first_about(self) -> dict[str, Any]:
        """Return what the command that began the run has written; empty for a new run."""
        try:
            return read_about(self.folder)
        except BadInput as error:
            # Not worth a run.
            warnings.warn(f"the command that began the run is not known any more: {error}", stacklevel=2)
            return {}

    def _about(self, trainer: pl.Trainer) -> dict[str, Any]:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        architecture = yaml.safe_load(self.config)["model"]["architecture"]
        program = Path(sys.argv[0]).name
        return {
            "command": shlex.join([*(["python"] if program.endswith(".py") else []), program, *sys.argv[1:]]),
            "started": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
            "data": data.name,
            "norm": str(architecture["disc_norm"]),
            "resolution": data.resolution,
            "changed": changed_flags(self.config, self.defaults),
        }

    def _picture(self, images: Tensor, name: str, rows: Sequence[str] = ()) -> None:
        """Write images to samples/, with a name beside each row where there are `rows`."""
        from torchvision.transforms.functional import to_pil_image  # late: it takes seconds to import

        samples = self.folder / "samples"
        picture = to_pil_image(picture_grid(images, COLUMNS))
        try:
            samples.mkdir(exist_ok=True)
            with atomic_write(samples / name) as part:
                (name_rows(picture, rows) if rows else picture).save(part, format="PNG")
        except OSError as error:
            # Not worth a run.
            warnings.warn(f"{samples / name} is not written: {error}", stacklevel=2)

    @override
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Before the checkpoint, which holds it; after the scores, whose callback stands before this one.
        self.times.append({"step": self.step(trainer, pl_module), **self.elapsed()})

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and time.monotonic() - self.page_written > PAGE_EVERY:
            for logger in trainer.loggers:
                logger.save()
            self._page()
            self.page_written = time.monotonic()

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        taken = self.taken
        rows = score_rows(self.rows(trainer))
        if taken.last is None or not rows:
            return
        results = {
            "last": rows[-1],
            "best": best_row(rows, taken.best),
            "best_of": taken.best,
            "protocol": taken.last.protocol,
            "final": taken.final.to_dict() if taken.final else None,
            "g_steps": self.step(trainer, pl_module),
            "times": self.times,
        }
        self.summary = self.write_summary(pl_module, results)
        module: Any = pl_module
        if module.num_classes is not None:
            classes = range(min(module.num_classes, MOST_CLASSES))
            images = torch.cat([module.sample(COLUMNS, labels=label) for label in classes])
            self._picture(images, CLASSES, [str(label) for label in classes])
        self._page()

    def _page(self) -> None:
        try:
            write_run_page(self.folder)
        except OSError:
            raise
        except Exception as error:
            # Files of the folder may have been changed meanwhile; the page is not worth a run.
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            warnings.warn(f"{self.folder / 'report.html'} is not written: {reason}", stacklevel=2)

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # The progress bar is gone by now.
        if self.summary is not None:
            self._print_table(self.summary)

    def _print_table(self, summary: dict[str, Any]) -> None:
        shown = titles(summary["last"])
        print(f"{summary['g_steps']} G steps in {summary['seconds']:.1f} s on the clock")
        print(plain_table([["", "G step", *shown.values()], *score_cells(summary, list(shown))]))
        for line in score_words(summary)[:1]:
            print(textwrap.fill(line, WIDTH, break_long_words=False))
        print(f"all of the run is in {self.folder}:", flush=True)
        names = ("report.html", "curves.png", "samples", "summary.json", "best.ckpt", "last.ckpt")
        print(", ".join(names), flush=True)


def _real_images(trainer: pl.Trainer, module: Any) -> Tensor | None:  # noqa: ANN401
    """Return training images for a grid; for a conditional GAN each place has the class of the sample there."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    images, *labels = data.train_set.tensors
    if module.num_classes is None or not labels:
        # Spread over all: a folder's are in the order of its classes.
        return images[torch.linspace(0, len(images) - 1, min(IMAGES, len(images))).long()]
    rows = [(labels[0] == label).nonzero()[:, 0] for label in range(module.num_classes)]
    shown = images.new_zeros(IMAGES, *images.shape[1:])  # black where a class has no images
    for i in range(IMAGES):
        turn, label = divmod(i, len(rows))
        if len(rows[label]):
            shown[i] = images[rows[label][turn % len(rows[label])]]
    return shown
