"""The base of all data modules: bytes in memory, shapes, and an endless shuffled stream."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_warn
from torch import Tensor
from torch.utils.data import TensorDataset
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.images.size import Size

__all__ = ["EndlessBatches", "ImageData"]

#: a larger train split stays in main memory, or memory-mapped, and its batches travel
ON_DEVICE_BYTES = 4 * 2**30
#: the most images in a batch: more are a slip of the keyboard, and no memory holds them
MOST_IMAGES = 10**6


class ImageData(pl.LightningDataModule):
    """An image data set with a train split, and perhaps labels and a test split.

    Subclasses set `train_set` and `test_set` in `setup`, datasets of uint8 images (N, C, H, W) and, where there are
    labels, int64 labels (N,), and the shapes in their constructor, since networks are built from them before any image
    is read.

    >>> class Noise(ImageData):
    ...     name = "noise"
    ...     def setup(self, stage=None):
    ...         self.train_set = TensorDataset(torch.randint(256, (8, 3, 16, 16), dtype=torch.uint8))
    ...         self.test_set = None
    >>> data = Noise(resolution=16, channels=3, num_classes=None, batch_size=4, seed=0)
    >>> data.setup()
    >>> data.split("test")
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: the data noise have no test images; give some, or choose ...

    Args:
        resolution: side of the images in pixels, or "HEIGHTxWIDTH".
        channels: channels of the images.
        num_classes: number of classes, None for images without labels.
        batch_size: images in one discriminator step (in any step of another module) of one process.
        seed: seeds the order of the images.
        conditions: names of the numbers in each image's vector, where it has one in place of a class; the second tensor
            of a split is then float32 (N, len(conditions)).

    Attributes:
        size: height and width of the images in pixels.
        name: the data set's name in scores and run names.
        test_set: None where there is no test split; `split` says so in words.
        label_names: of the classes in their order, or of a vector's numbers; empty where they are not known.
        file_names: of the images of "train" and "test" in their order, where each is a file; set up by `setup`.
        overfit_batches: number of first batches to train on again and again; 0 for all images.
    """

    name: str
    train_set: TensorDataset
    test_set: TensorDataset | None
    overfit_batches: int = 0

    def __init__(
        self,
        resolution: int | str,
        channels: int,
        num_classes: int | None,
        batch_size: int,
        seed: int,
        conditions: list[str] | None = None,
    ) -> None:
        super().__init__()
        self.size = Size.of(resolution)
        if batch_size < 1:
            raise BadInput(f"batch_size is {batch_size}, and must be 1 or more")
        if batch_size > MOST_IMAGES:
            raise BadInput(f"batch_size is {batch_size}, and must be {MOST_IMAGES:,} or less")
        self.resolution = self.size.plain
        self.channels = channels
        self.num_classes = num_classes
        self.conditions = conditions
        self.batch_size = batch_size
        self.seed = seed
        self.label_names = list(conditions or [])
        self.file_names: dict[str, list[str]] = {}
        self._on_device: tuple[Tensor, ...] | None = None

    def split(self, name: str) -> TensorDataset:
        """Return a split.

        Args:
            name: "train" or "test".

        Returns:
            Images, uint8 (N, C, H, W), and where there are labels, int64 (N,).

        Raises:
            BadInput: another name, or no test images.
        """
        if name not in ("train", "test"):
            raise BadInput(f"the split is {name!r}; expected 'train' or 'test'")
        chosen = self.train_set if name == "train" else self.test_set
        if chosen is None:
            raise BadInput(
                f"the data {self.name} have no test images; give some, or choose a protocol that scores against train"
            )
        return chosen

    @override
    def train_dataloader(self) -> EndlessBatches:
        trainer = self.trainer
        assert trainer is not None
        module: Any = trainer.lightning_module
        size, batch = len(self.train_set), self.batch_size * trainer.world_size
        if batch > size:
            rank_zero_warn(f"a batch is {batch} images of {size}, so it has images several times; lower batch_size")
        return EndlessBatches(
            size,
            self.batch_size,
            # A module that takes several batches in one step says so, and at which step it is.
            getattr(module, "batches_per_step", 1),
            self.seed,
            trainer.global_rank,
            trainer.world_size,
            lambda: getattr(module, "g_step", 0),
            self.overfit_batches,
        )

    def transfer_batch_to_device(self, batch: object, device: torch.device, dataloader_idx: int) -> object:
        """Return the images and labels of row numbers; they are taken on the device if the data set fits there."""
        if not isinstance(batch, Tensor):
            return batch
        if self._on_device is None or self._on_device[0].device != device:
            size = sum(t.nbytes for t in self.train_set.tensors)
            fits = device.type != "cpu" and size <= ON_DEVICE_BYTES
            self._on_device = tuple(t.to(device) if fits else t for t in self.train_set.tensors)
        rows = batch.to(self._on_device[0].device, non_blocking=True)
        return [t.index_select(0, rows).to(device, non_blocking=True) for t in self._on_device]

    def val_dataloader(self) -> list[int]:
        """Return one empty batch: scores compare whole sets, and Lightning needs a batch to run its loop."""
        return [0]

    test_dataloader = val_dataloader


class EndlessBatches:
    """Row numbers of shuffled batches without end, each pass over the data in another order.

    >>> sorted(EndlessBatches(4, batch_size=4, per_step=1, seed=0).rows(step=7).tolist())
    [0, 1, 2, 3]

    Step s starts at row s * per_step * world_size * batch_size of the endless series of passes. So the order depends on
    the seed and the step alone. A resumed run sees the images that it would have seen, and nothing has to be saved for
    that. Any number of processes with the same total batch see the same images in a step.

    Args:
        size: number of images.
        batch_size: images in one discriminator step of this process.
        per_step: discriminator steps in a training step.
        seed: seeds the order.
        rank: this process.
        world_size: number of processes.
        first_step: of the batch that comes first; asked when the iteration starts.
        repeated: number of first batches to yield again and again; 0 for all.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        per_step: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        first_step: Callable[[], int] = lambda: 0,
        repeated: int = 0,
    ) -> None:
        self.size = size
        self.batch_size = batch_size
        self.per_step = per_step
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.first_step = first_step
        self.repeated = repeated

    def __len__(self) -> int:
        # Lightning reads one batch ahead of a loader without a length.
        return 10**9

    def __iter__(self) -> Iterator[Tensor]:
        step = self.first_step()
        while True:
            yield self.rows(step)
            step += 1

    def rows(self, step: int) -> Tensor:
        """Return this process's rows of a step, int64, shape (per_step * batch_size,): its share of every part."""
        if self.repeated:
            step %= self.repeated
        count = self.per_step * self.world_size * self.batch_size
        return self._series(step * count, count).view(self.per_step, self.world_size, -1)[:, self.rank].reshape(-1)

    def _series(self, start: int, count: int) -> Tensor:
        last = (start + count - 1) // self.size
        passes = [self._permutation(number) for number in range(start // self.size, last + 1)]
        return torch.cat(passes)[start % self.size :][:count]

    @functools.lru_cache(maxsize=2)  # noqa: B019 - one loader lives as long as the training
    def _permutation(self, number: int) -> Tensor:
        return torch.randperm(self.size, generator=torch.Generator().manual_seed(self.seed * 1_000_003 + number))

    def state_dict(self) -> dict[str, Any]:
        """Return an empty state, which tells Lightning that a run can be resumed within a pass."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do nothing: the order is a function of the step."""
