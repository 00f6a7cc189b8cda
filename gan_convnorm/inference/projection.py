"""Projection of real images to latents: which latents make the image most like a given one, and how like it is."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_convnorm.errors import BadInput
from gan_convnorm.evaluation_mode import evaluating
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.files.names import shown
from gan_convnorm.gan.sampling import Sampler
from gan_convnorm.images.pixels import images_to_bytes
from gan_convnorm.inference.captioned_picture import Block, save_captioned
from gan_convnorm.random_streams import numbered_latents

__all__ = ["Projection", "project"]

#: images and their starts in one forward pass
BATCH = 256
LEARNING_RATE = 0.1


@dataclass(frozen=True)
class Projection:
    """Images, and the generator's images that are most like them.

    >>> image = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    >>> Projection(image, image + 51, torch.zeros(1, 8), torch.tensor([0.2]), torch.tensor([0.5])).line()
    'projection: root mean square difference 0.2 (median of 1 images), 0.5 for the best random sample of each'

    Attributes:
        images: the given ones, uint8 (N, C, H, W).
        made: the generator's, uint8 (N, C, H, W).
        latents: float (N, D); the generator makes `made` of them.
        errors: root mean square difference of pixels in [0, 1], (N,).
        start_errors: of the best start, before any step, (N,).
    """

    images: Tensor
    made: Tensor
    latents: Tensor
    errors: Tensor
    start_errors: Tensor

    def line(self) -> str:
        """Return the errors in one line."""
        return (
            f"projection: root mean square difference {float(self.errors.median()):.3g} (median of {len(self.errors)} "
            f"images), {float(self.start_errors.median()):.3g} for the best random sample of each"
        )

    def write(self, folder: Path, files: Sequence[str] = ()) -> list[Path]:
        """Write projection.png (each image, then the generator's), projection.csv and projection.npz (the latents).

        Args:
            folder: exists.
            files: names of the images' files for the table, where they are files.

        Returns:
            The files.
        """
        import numpy as np

        paths = [folder / f"projection.{ending}" for ending in ("png", "csv", "npz")]
        numbers = [[str(row)] for row in range(len(self.images))]
        errors = [[f"{error:.3g}"] for error in self.errors.tolist()]
        blocks = [
            Block("image", self.images.unsqueeze(1), numbers),
            Block("most similar generated image", self.made.unsqueeze(1), errors),
        ]
        save_captioned(blocks, paths[0])
        with atomic_write(paths[1]) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["image", "error", "best_random_error", "file"])
            for row, (error, start) in enumerate(zip(self.errors.tolist(), self.start_errors.tolist(), strict=True)):
                writer.writerow([row, f"{error:.6g}", f"{start:.6g}", shown(files[row]) if files else ""])
        with atomic_write(paths[2]) as part, part.open("wb") as file:
            np.savez(file, latents=self.latents.numpy(), errors=self.errors.numpy())
        return paths


def project(
    module: Sampler,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    steps: int = 200,
    starts: int = 8,
    seed: int = 0,
    ema: bool = True,
) -> Projection:
    """Find latents whose images are most like the given ones.

    Adam lowers the mean square difference at full, half and quarter size, from several random latents for each image;
    the start with the smallest difference of pixels at the end is kept. Latents keep the length sqrt(D) that is typical
    of a normal distribution, so that the generator is not asked for images outside its training.
    Gradients through the generator, as in Zhu et al., ECCV 2016 (arXiv:1609.03552), section 3.2.

    Args:
        module: a trained generator.
        images: uint8 (N, C, H, W), of the generator's size.
        labels: classes (N,), or vectors (N, condition_size), for a conditional generator.
        steps: of Adam; the rate falls to 0 as a cosine.
        starts: random latents for each image.
        seed: of the starts, 0 or above.
        ema: from the averaged weights, else from the current ones.

    Returns:
        The latents, their images and the errors.

    Raises:
        BadInput: images of another size, labels where there are no classes or none where there are, other labels than
            the generator's, no step or start, a seed below 0.

    >>> from gan_convnorm.gan.loading import load
    >>> generator = load("checkpoints/digits_convnorm")
    >>> found = project(generator, generator.sample(1, seed=9), steps=5, starts=2)
    >>> bool(found.errors < found.start_errors), found.latents.shape
    (True, torch.Size([1, 128]))
    """
    shape = module.sample(1, ema=ema).shape[1:]
    if images.shape[1:] != shape:
        raise BadInput(
            f"the images to project have shape {tuple(images.shape[1:])}, and the generator makes {tuple(shape)}"
        )
    if not len(images):
        raise BadInput("there is no image to project; give one or more")
    if steps < 1 or starts < 1:
        raise BadInput(f"{steps} steps and {starts} starts are asked for; expected 1 or more of each")
    if seed < 0:
        raise BadInput(f"seed is {seed}, and must be 0 or more")
    labels = module.checked_labels(len(images), labels)
    size = max(1, BATCH // starts)
    found = []
    for first in range(0, len(images), size):
        rows = slice(first, first + size)
        latents = numbered_latents(first * starts, (first + len(images[rows])) * starts, module.latent_dim, seed)
        found.append(_project(module, images[rows], None if labels is None else labels[rows], latents, steps, ema))
    latents, errors, start_errors = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Projection(images, module.decode(latents, labels, ema=ema), latents, errors, start_errors)


def _project(
    module: Sampler, images: Tensor, labels: Tensor | None, latents: Tensor, steps: int, ema: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the best latents of each image, their errors, and the errors of the best starts."""
    network = module.generator_with(ema=ema)
    weight = next(network.parameters())
    starts = len(latents) // len(images)
    with evaluating(network), torch.inference_mode(False), torch.enable_grad():
        target = images.to(weight.device).float().div(127.5).sub(1).to(weight.dtype).repeat_interleave(starts, 0)
        classes = None if labels is None else labels.to(weight.device).repeat_interleave(starts, 0)
        z = latents.to(weight.device, weight.dtype).clone().requires_grad_()
        optimizer = torch.optim.Adam([z], LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for step in range(steps):
            made = network(_typical(z), classes)
            if step == 0:
                start_errors = _errors(made, target)
            sizes = (F.mse_loss(F.avg_pool2d(made, k), F.avg_pool2d(target, k), reduction="none") for k in (1, 2, 4))
            # A sum over the images, so that none depends on how many there are.
            losses = torch.stack([each.mean((1, 2, 3)).sum() for each in sizes])
            (z.grad,) = torch.autograd.grad(losses.sum(), z)
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            z = _typical(z)
            errors = _errors(network(z, classes), target)
    best = errors.view(len(images), starts).argmin(1) + starts * torch.arange(len(images), device=weight.device)
    best_starts = start_errors.view(len(images), starts).amin(1)
    return z[best].detach().cpu().float(), errors[best].cpu(), best_starts.cpu()


def _typical(latents: Tensor) -> Tensor:
    """Return latents scaled to the length sqrt(D), around which a normal distribution's are."""
    return F.normalize(latents, dim=1) * math.sqrt(latents.shape[1])


def _errors(made: Tensor, target: Tensor) -> Tensor:
    """Return root mean square differences in [0, 1] of images in [-1, 1], the made ones rounded as files are."""
    rounded = images_to_bytes(made.detach()).float() / 255
    return (rounded - (target + 1) / 2).square().mean((1, 2, 3)).sqrt()
