"""Generated images as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override

from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.images.grid import save_grid, save_image

__all__ = ["ARRAYS", "ImageWriter"]

GRID = 100
ARRAYS = "images.npz"


class ImageWriter(pl.Callback):
    """Callback that writes every predicted image, and the first hundred as `folder`/grid.png.

    A batch is the arguments of the module's `sample`, with "first" and, where there are classes, "labels".

    >>> import tempfile
    >>> trainer, module = pl.Trainer(accelerator="cpu", logger=False), pl.LightningModule()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     writer = ImageWriter(Path(folder))
    ...     images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    ...     writer.on_predict_batch_end(trainer, module, images, {"first": 8}, batch_idx=0)
    ...     sorted(path.name for path in Path(folder, "images").iterdir())
    ['00008.png', '00009.png']

    Args:
        folder: where to write; it exists.
        form: png: `folder`/images/NNNNN.png, and with classes `folder`/images/CLASS/NNNNN.png; npz: `folder`/images.npz
            with "images", uint8 (N, H, W, C), and with classes "labels", int64 (N,), or with vectors "conditions",
            float32 (N, K). Images and classes can be trained on.
        num_classes: None without.
    """

    def __init__(self, folder: Path, form: str = "png", num_classes: int | None = None) -> None:
        self.folder = folder
        self.form = form
        self.digits = len(str((num_classes or 1) - 1))  # so that names sort as numbers do
        self.count = 0
        self.first: list[Tensor] = []
        self.images: list[Tensor] = []
        self.labels: list[Tensor] = []

    @override
    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor,
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if not trainer.is_global_zero:
            return
        labels = batch.get("labels")
        if self.form == "npz":
            self.images.append(outputs)
            self.labels += [] if labels is None else [labels]
        else:
            for number, image in enumerate(outputs):
                folder = self.folder / "images"
                if labels is not None and labels.dim() == 1:
                    folder /= f"{int(labels[number]):0{self.digits}d}"
                folder.mkdir(parents=True, exist_ok=True)
                save_image(image, folder / f"{batch['first'] + number:05d}.png")
        self.count += len(outputs)
        if len(self.first) < GRID:
            self.first.extend(outputs[: GRID - len(self.first)])

    @override
    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        if self.form == "npz":
            arrays: dict[str, Any] = {"images": torch.cat(self.images).permute(0, 2, 3, 1).numpy()}
            if self.labels:
                labels = torch.cat(self.labels).cpu().numpy()
                arrays["labels" if labels.ndim == 1 else "conditions"] = labels
            with atomic_write(self.folder / ARRAYS) as part, part.open("wb") as file:
                np.savez_compressed(file, **arrays)
        save_grid(torch.stack(self.first), self.folder / "grid.png")
        where = self.folder / (ARRAYS if self.form == "npz" else "images")
        print(f"wrote {self.count} images to {where}", flush=True)
        print(self.folder / "grid.png", flush=True)
