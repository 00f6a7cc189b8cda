"""Where images come from: a tensor, a folder, or something that generates them."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from gan_convnorm.errors import BadInput
from gan_convnorm.files.names import listed, shown
from gan_convnorm.images.arrays import IMAGE_NAMES, ArrayFile
from gan_convnorm.images.decoding import MOST_PIXELS, BadImage, decode, file_stamp, to_square
from gan_convnorm.images.folder import list_images
from gan_convnorm.noise import BLOCK, numbered_noise

__all__ = ["FolderImages", "GeneratedImages", "Images", "TensorImages", "as_images"]

READING = 2  # of how files become pixels; a change makes new features of cached folders


class Images(Protocol):
    """A numbered set of images.

    Attributes:
        name: what they are, such as "EMA samples".
        block: shares of the work begin at multiples of it; 0 where any beginning will do.
    """

    name: str
    block: int

    def __len__(self) -> int: ...

    def batches(self, start: int, stop: int, batch_size: int) -> Iterator[Tensor]:
        """Images start to stop, uint8, shape (up to batch_size, C, H, W)."""

    def digest(self) -> str | None:
        """A hash of the content, or None where it cannot be told without making the images."""


class TensorImages:
    """Images in memory.

    Args:
        images: uint8, shape (N, C, H, W).
        name: what they are.

    Raises:
        BadInput: another type or shape.
    """

    block = 0

    def __init__(self, images: Tensor, name: str = "images") -> None:
        _check_batch(images, name)
        self.images = images
        self.name = name

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, start: int, stop: int, batch_size: int) -> Iterator[Tensor]:
        for part in self.images[start:stop].split(batch_size) if stop > start else ():
            yield part.contiguous()  # other strides may round differently

    def digest(self) -> str:
        content = hashlib.sha256(repr(tuple(self.images.shape)).encode())
        for part in self.images.split(4096):
            content.update(part.cpu().contiguous().numpy())
        return content.hexdigest()


class GeneratedImages:
    """Images from noise: image i depends on the seed and on i, not on how many processes share the work.

    Args:
        generate: from (first, count) to images of these numbers, uint8 (count, C, H, W).
        count: how many there are.
        name: what they are.
    """

    block = BLOCK

    def __init__(self, generate: Callable[[int, int], Tensor], count: int, name: str) -> None:
        if count < 1:
            raise BadInput(f"num_fake is {count}, and must be 1 or more")
        self.generate = generate
        self.count = count
        self.name = name

    def __len__(self) -> int:
        return self.count

    def batches(self, start: int, stop: int, batch_size: int) -> Iterator[Tensor]:
        waiting: list[Tensor] = []
        for first in range(start, stop, BLOCK):
            images = self.generate(first, min(BLOCK, stop - first))
            _check_batch(images, self.name)
            waiting.append(images)
            if sum(map(len, waiting)) >= batch_size or first + BLOCK >= stop:
                *full, last = torch.cat(waiting).split(batch_size)
                yield from full
                waiting = [last]
                if len(last) == batch_size or first + BLOCK >= stop:
                    yield last
                    waiting = []

    def digest(self) -> None:
        return None


class FolderImages:
    """The image files in a folder, or in the folders below it, sorted by their real paths as torch-fidelity does.

    They are found and read as training finds and reads them, see `gan_convnorm.images.folder` and
    `gan_convnorm.images.decoding.decode`; warnings say what was passed over and what was converted.

    Args:
        folder: the folder; not one that holds a train and a test split.
        resize: side in pixels to resize the shorter side to (antialiased bilinear) and to crop the centre of; files of
            different sizes are refused without it.
        skip_bad: leave out files that cannot be read, with a warning, in place of refusing the folder.

    Raises:
        BadInput: no folder, no images; while reading: unreadable files, more than 8 bits, different sizes.
    """

    block = 0

    def __init__(self, folder: Path, resize: int | None = None, skip_bad: bool = False) -> None:
        _check_resize(resize)
        self.folder = folder
        self.resize = resize
        self.skip_bad = skip_bad
        self.files = _image_files(folder)
        self.name = f"images of {shown(folder)}"
        self.bad: list[str] = []

    def __len__(self) -> int:
        return len(self.files)

    def batches(self, start: int, stop: int, batch_size: int) -> Iterator[Tensor]:
        count = stop - start
        processors = os.cpu_count() or 1
        loader: Any = DataLoader(
            Subset(_Files(self.files, self.resize), range(start, stop)),
            batch_size=batch_size,
            # Starting workers takes longer than reading a few files.
            num_workers=min(4, processors) if count > 1000 else 0,
            collate_fn=list,
        )
        converted: Counter[str] = Counter()
        self.bad = []
        size: tuple[int, ...] | None = None
        size_of = ""
        for batch in loader:
            kept = []
            for path, image, notes in batch:
                if image is None:
                    self.bad.append(f"{shown(path)} ({notes[0]})")
                    continue
                converted.update(notes)
                size, size_of = (size, size_of) if size else (image.shape, path)
                if image.shape != size:
                    found, expected = (f"{s[1]}x{s[0]}" for s in (image.shape, size))
                    raise BadInput(
                        f"{shown(path)} is {found} pixels and {shown(size_of)} is {expected}; expected one size: "
                        f"resize={min(size[:2])} (--resize {min(size[:2])}) brings them to it"
                    )
                kept.append(image)
            if kept:
                yield torch.from_numpy(np.stack(kept)).permute(0, 3, 1, 2).contiguous()
        for note, number in converted.items():
            warnings.warn(f"{number} {self.name} {note}", stacklevel=2)
        if self.bad and not self.skip_bad:
            raise BadInput(
                f"{len(self.bad)} of {count} files of {shown(self.folder)} cannot be read: {listed(self.bad)}; remove "
                "them, or leave them out with skip_bad=True (--skip-bad)"
            )
        if self.bad:
            message = f"{len(self.bad)} of {count} files of {shown(self.folder)} left out: {listed(self.bad)}"
            warnings.warn(message, stacklevel=2)

    def digest(self) -> str:
        content = hashlib.sha256(f"{READING} {PIL.__version__} {self.resize} {self.skip_bad}".encode())
        for path in self.files:
            content.update(os.fsencode(f"{path}\0{file_stamp(path)}\n"))
        return content.hexdigest()


class _Files(Dataset):
    """Of every file: its path, bytes of shape (H, W, 3) or None, and what was converted or why it cannot be read."""

    def __init__(self, files: list[str], resize: int | None) -> None:
        self.files = files
        self.resize = resize

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[str, np.ndarray | None, list[str]]:
        path = self.files[index]
        try:
            image, notes = decode(path)
        except BadImage as error:
            return path, None, [str(error)]
        if self.resize is not None:
            image = to_square(image, self.resize)
        return path, np.asarray(image), notes


def as_images(
    source: Any,
    *,
    name: str | None = None,
    num_fake: int = 50_000,
    seed: int = 0,
    ema: bool = True,
    latent_dim: int = 128,
    device: torch.device | str = "cpu",
    resize: int | None = None,
    skip_bad: bool = False,
) -> Images:
    """Images from whatever holds or makes them.

    Args:
        source: uint8 images (N, C, H, W); a folder; an .npz or .npy file of uint8 images; a module
            with `sample(n, seed=, ema=, first=)`, such as `gan_convnorm.gan.GAN`; a callable from normal noise
            (n, latent_dim) to uint8 images; or an object that has the methods of `Images` already.
        name: what they are, for the protocol.
        num_fake: how many to generate, where they are generated.
        seed: seeds the noise.
        ema: from the averaged weights, else from the current ones.
        latent_dim: length of a callable's noise vectors.
        device: where a callable's noise lies.
        resize: for folders and arrays, see `FolderImages`.
        skip_bad: for folders, see `FolderImages`.

    Raises:
        BadInput: nothing of these, or something wrong with it.
    """
    if isinstance(source, Tensor):
        return TensorImages(source, name or "images")
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.suffix.lower() in (".npz", ".npy") and not path.is_dir():
            return _array_images(path, resize)
        if path.is_file():
            raise BadInput(f"{path} is no .npz or .npy file; load a checkpoint first, by gan_convnorm.load(path)")
        return FolderImages(path, resize, skip_bad)
    if isinstance(source, (TensorImages, FolderImages, GeneratedImages)):
        return source
    if hasattr(source, "sample"):
        module = source

        def generate(first: int, count: int) -> Tensor:
            return module.sample(count, seed=seed, ema=ema, first=first)

        return GeneratedImages(generate, num_fake, name or ("EMA samples" if ema else "samples"))
    if callable(source):
        from_noise = source

        @torch.no_grad()
        def call(first: int, count: int) -> Tensor:
            return from_noise(numbered_noise(first, first + count, latent_dim, seed).to(device))

        return GeneratedImages(call, num_fake, name or "samples")
    if all(hasattr(source, method) for method in ("batches", "digest", "__len__")):
        return source
    raise BadInput(
        f"cannot take images from {type(source).__name__}; expected a uint8 tensor, a folder, an .npz or .npy file, "
        "a module with sample(), or a function from noise to uint8 images"
    )


def _check_batch(images: Any, name: str) -> None:
    if not isinstance(images, Tensor):
        raise BadInput(f"{name} are a {type(images).__name__}; expected a uint8 tensor of shape (N, C, H, W)")
    shape = tuple(images.shape)
    if images.dtype != torch.uint8:
        extent = f" from {images.min().item():.3g} to {images.max().item():.3g}" if images.numel() else ""
        raise BadInput(
            f"{name} are {str(images.dtype).removeprefix('torch.')} of shape {shape}{extent}; expected uint8 from 0 to "
            "255 of (N, C, H, W): scale, round and clamp them"
        )
    if images.dim() != 4 or shape[1] not in (1, 3):
        raise BadInput(f"{name} have the shape {shape}; expected (N, C, H, W) with 1 or 3 channels")


def _array_images(path: Path, resize: int | None) -> TensorImages:
    """Return the images of an .npz or .npy file; in an .npz file, those in the array that training takes.

    Raises:
        BadInput: no file, a damaged one, or no uint8 images in it.
    """
    _check_resize(resize)
    content = ArrayFile(path)
    name = content.find(IMAGE_NAMES)
    if name is None:
        expected = ", ".join(IMAGE_NAMES)
        raise BadInput(f"{content.name} holds {content.summary()}; expected images in one of the arrays {expected}")
    images = content.images(name)
    if unused := content.ignored():
        warnings.warn(unused, stacklevel=3)
    if resize is not None:
        # Through PIL, as files are: a tensor's resizing rounds differently.
        images = torch.stack([_resized(image, resize) for image in images])
    return TensorImages(images, f"images of {content.name}")


def _check_resize(resize: int | None) -> None:
    if resize is not None and not 1 <= resize <= MOST_PIXELS:
        raise BadInput(f"resize is {resize}, and must be from 1 to {MOST_PIXELS} pixels (--resize)")


def _resized(image: Tensor, side: int) -> Tensor:
    from torchvision.transforms.functional import pil_to_tensor, to_pil_image

    return pil_to_tensor(to_square(to_pil_image(image), side))


def _image_files(folder: Path) -> list[str]:
    if not os.path.lexists(folder):
        raise BadInput(f"there is no folder or checkpoint {shown(folder)}")
    found = list_images(folder, "files such as *.png and *.jpg")
    splits = found.splits()
    if len(splits) > 1:
        one = shown(folder / splits["train"])
        raise BadInput(
            f"{shown(folder)} holds the splits {' and '.join(map(shown, splits.values()))}; give one, such as {one}"
        )
    chosen = found.group(*splits.values()) if splits else found
    files = sorted(real for _, real in chosen.files())
    if message := found.passed_over():
        warnings.warn(message, stacklevel=4)
    return files
