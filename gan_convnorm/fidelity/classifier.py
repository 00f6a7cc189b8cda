"""Training of the small network whose features are compared, from labels or from the images alone."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_convnorm.fidelity.cache import cache_path, read_cached, write_cached
from gan_convnorm.fidelity.small_network import SmallNetwork
from gan_convnorm.files.cache_folder import temporary_folder
from gan_convnorm.images.size import Size
from gan_convnorm.progress import Progress

__all__ = ["FROM_LABELS", "FROM_ROTATIONS", "train_classifier", "trained_weights"]

#: names of the features in protocols; a change of the network or of its training gives other scores, so a new number
FROM_LABELS = "labelled-classifier-2"
FROM_ROTATIONS = "rotation-classifier-2"
EPOCHS = 12
#: images in all epochs together, beyond which training stops
MOST_IMAGES = 200_000
BATCH_SIZE = 64
SEED = 0
#: one image in ten is held out, for the accuracy, up to this number
MOST_HELD_OUT = 2_000
#: images on which the features get mean 0 and variance 1
MOST_FITTED = 20_000
TURNS = 4


def train_classifier(
    images: Tensor, labels: Tensor | None = None, device: torch.device | str = "cpu"
) -> tuple[SmallNetwork, dict[str, Any]]:
    """Train a classifier; the same images give the same network on a CPU, and the global random state stays.

    Without labels it learns by how many quarter turns an image is rotated (Gidaris et al., 2018, arXiv:1803.07728); of
    an image that is not square, a random square part of it. The features are of the whole image.

    >>> images = torch.zeros(20, 1, 4, 4, dtype=torch.uint8)
    >>> train_classifier(images, torch.zeros(20, dtype=torch.int64))[1]
    {'accuracy': 1.0, 'held_out': 2}

    Args:
        images: uint8, shape (N, C, H, W).
        labels: int64, shape (N,), classes from 0.
        device: where it is trained.

    Returns:
        The network, in evaluation mode. And "accuracy", the share of the "held_out" images, which it was not trained
        on, that it classifies right; None if there are too few images to hold one out.
    """
    device = torch.device(device)
    # Lightning validates in inference mode, which has no gradients.
    with torch.random.fork_rng(), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(SEED)
        order = torch.randperm(len(images))
        number = min(len(images) // 10, MOST_HELD_OUT)
        classes = TURNS if labels is None else int(labels.max()) + 1
        network = SmallNetwork(Size(*images.shape[2:]).plain, images.shape[1], classes)
        network.to(device).to(memory_format=torch.channels_last)
        _fit(network, images, labels, order[number:])
        network.eval()
        network.fit_features(images[order[:MOST_FITTED]])
        return network, {"accuracy": _accuracy(network, images, labels, order[:number]), "held_out": number}


def _fit(network: SmallNetwork, images: Tensor, labels: Tensor | None, kept: Tensor) -> None:
    device = network.mean.device
    epochs = [rows for _ in range(EPOCHS) for rows in kept[torch.randperm(len(kept))].split(BATCH_SIZE)]
    batches = epochs[: max(1, MOST_IMAGES // BATCH_SIZE)]
    optimizer = torch.optim.AdamW(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=len(batches))
    with Progress("training the classifier whose features are compared", "steps", len(batches)) as progress:
        for step, rows in enumerate(batches, 1):
            shown, targets = _with_targets(images[rows], None if labels is None else labels[rows])
            loss = F.cross_entropy(network.logits(shown.to(device)), targets.to(device))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            progress.update(step)


def _with_targets(images: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return images and their classes; without labels, randomly rotated images and their quarter turns."""
    if labels is not None:
        return images, labels
    squares = _squares(images)
    turns = torch.randint(TURNS, (len(images),))
    rotated = squares.clone()
    for turn in range(1, TURNS):
        rotated[turns == turn] = squares[turns == turn].rot90(turn, (2, 3))
    return rotated, turns


def _squares(images: Tensor) -> Tensor:
    """Return a random square of the shorter side of every image; the images themselves where they are square."""
    height, width = images.shape[2:]
    if height == width:
        return images
    side = min(height, width)
    firsts = torch.randint(max(height, width) - side + 1, (len(images),)).tolist()
    axis = 1 if height > width else 2
    return torch.stack([image.narrow(axis, first, side) for image, first in zip(images, firsts, strict=True)])


@torch.no_grad()
def _accuracy(network: SmallNetwork, images: Tensor, labels: Tensor | None, rows: Tensor) -> float | None:
    if not len(rows):
        return None
    right = 0
    for part in rows.split(256):
        shown, targets = _with_targets(images[part], None if labels is None else labels[part])
        right += int((network.logits(shown.to(network.mean.device)).argmax(dim=1).cpu() == targets).sum())
    return right / len(rows)


def trained_weights(images: Tensor, labels: Tensor | None = None, device: torch.device | str = "cpu") -> Path:
    """Return the file with the network of these images, trained on the first call and cached by content.

    >>> images = torch.arange(16, dtype=torch.uint8).view(4, 1, 2, 2)
    >>> path = trained_weights(images, torch.arange(4) % 2)
    >>> path.name, path == trained_weights(images, torch.arange(4) % 2)
    ('labelled-classifier-2-2px-4-images-...pt', True)

    Args:
        images: uint8, shape (N, C, H, W).
        labels: int64, shape (N,), classes from 0; without them the network learns to recognize rotations.
        device: where it is trained.

    Returns:
        A file for torch-fidelity's `feature_extractor_weights_path`, in the cache folder, or with a warning in a
        temporary one if that cannot be written.
    """
    digest = hashlib.sha256(images.contiguous().numpy().data)
    if labels is not None:
        digest.update(labels.contiguous().numpy().data)
    learned = FROM_ROTATIONS if labels is None else FROM_LABELS
    training = (tuple(images.shape), EPOCHS, MOST_IMAGES, BATCH_SIZE, SEED, MOST_HELD_OUT, MOST_FITTED)
    path = cache_path(
        f"{learned}-{Size(*images.shape[2:]).plain}px-{len(images)}-images", *training, digest.hexdigest()
    )
    found = read_cached(path)
    if found is None or not {"shape", "state_dict"} <= set(found):
        network, accuracy = train_classifier(images, labels, device)
        content = {"learned": learned, "shape": network.shape, "state_dict": network.cpu().state_dict(), **accuracy}
        if not write_cached(path, content):
            path = temporary_folder() / path.name
            torch.save(content, path)
    return path
