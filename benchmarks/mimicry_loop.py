"""torch-mimicry's training of SNGAN-32, rewritten from its description for comparison in `throughput.py`.

What is kept (Lee and Town, "Mimicry", arXiv:2005.02494, and its repository's documentation): bilinear upsampling before
both of the generator block's first convolutions, the discriminator's 1x1 shortcut before its pooling, a power iteration
in every forward, the generator's step first; per discriminator step a loader's batch of images that were resized,
converted and normalized one by one, fakes whose graph is dropped after it was built, separate forwards of real and fake
images, and three numbers read from the device; gradients for the discriminator's weights also in the generator's
step; Adam with torch's defaults, torch's default memory format.

`InstalledMimicry` is the same with torch-mimicry's own networks and their own training steps:

    python -m pip install --no-deps --target FOLDER torch-mimicry
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

__all__ = ["InstalledMimicry", "MimicryLoop"]


class PowerIteration:
    """A layer that runs one power iteration and divides by its result in every forward."""

    weight: Tensor

    def normalized(self) -> Tensor:
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            right = F.normalize(self.left @ matrix, dim=1)
            left = F.normalize(right @ matrix.t(), dim=1)
            self.left.copy_(left)
        return self.weight / (left @ (matrix @ right.t()))


class NormalizedConv(PowerIteration, nn.Conv2d):
    def __init__(self, *arguments: int, **options: int) -> None:
        super().__init__(*arguments, **options)
        self.register_buffer("left", torch.randn(1, self.out_channels))

    def forward(self, features: Tensor) -> Tensor:
        return F.conv2d(features, self.normalized(), self.bias, padding=self.padding)


class NormalizedLinear(PowerIteration, nn.Linear):
    def __init__(self, *arguments: int) -> None:
        super().__init__(*arguments)
        self.register_buffer("left", torch.randn(1, self.out_features))

    def forward(self, features: Tensor) -> Tensor:
        return F.linear(features, self.normalized(), self.bias)


class Up(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.shortcut = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        hidden = F.relu(self.norms[0](features), inplace=True)
        hidden = self.convs[0](F.interpolate(hidden, scale_factor=2, mode="bilinear"))
        hidden = self.convs[1](F.relu(self.norms[1](hidden), inplace=True))
        return hidden + self.shortcut(F.interpolate(features, scale_factor=2, mode="bilinear"))


class Down(nn.Module):
    """A discriminator block; the first one pools before its shortcut, the last ones have none."""

    def __init__(self, incoming: int, channels: int, place: str) -> None:
        super().__init__()
        self.place = place
        self.conv1 = NormalizedConv(incoming, channels, 3, padding=1)
        self.conv2 = NormalizedConv(channels, channels, 3, padding=1)
        self.shortcut = NormalizedConv(incoming, channels, 1) if place != "last" else None

    def forward(self, features: Tensor) -> Tensor:
        hidden = features if self.place == "first" else F.relu(features)
        hidden = self.conv2(F.relu(self.conv1(hidden), inplace=True))
        if self.shortcut is None:
            return hidden + features
        if self.place == "first":
            return F.avg_pool2d(hidden, 2) + self.shortcut(F.avg_pool2d(features, 2))
        return F.avg_pool2d(hidden, 2) + F.avg_pool2d(self.shortcut(features), 2)


class Generator(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(128, channels * 16)
        self.blocks = nn.Sequential(*(Up(channels) for _ in range(3)))
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, noise: Tensor) -> Tensor:
        features = self.blocks(self.linear(noise).unflatten(1, (-1, 4, 4)))
        return torch.tanh(self.conv(F.relu(self.norm(features), inplace=True)))


class Discriminator(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        blocks = [Down(3 if place == "first" else channels, channels, place) for place in ("first", "next", "last")]
        self.blocks = nn.Sequential(*blocks, Down(channels, channels, "last"))
        self.linear = NormalizedLinear(channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(F.relu(self.blocks(images)).sum((2, 3)))


class Pictures(Dataset):
    def __init__(self, images: Tensor) -> None:
        self.arrays = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
        self.transform = transforms.Compose(
            [transforms.Resize(32), transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]
        )

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> Any:
        return self.transform(Image.fromarray(self.arrays[index])), 0


class MimicryLoop:
    """Mimicry's training loop. `step` runs a generator step; `close` ends the loader's processes.

    Args:
        images: uint8, shape (N, 3, 32, 32).
        batch: images in a step of either network.
        n_dis: discriminator steps in a generator step.
        width: factor on the channels.
        workers: processes of the loader.
        device: where it trains.
    """

    def __init__(self, images: Tensor, batch: int, n_dis: int, width: float, workers: int, device: str) -> None:
        self.generator = Generator(round(256 * width)).to(device)
        self.discriminator = Discriminator(round(128 * width)).to(device)
        self.optimizers = [
            torch.optim.Adam(network.parameters(), 2e-4, (0.0, 0.9)) for network in (self.generator, self.discriminator)
        ]
        self.loader = DataLoader(Pictures(images), batch, shuffle=True, num_workers=workers, drop_last=True)
        self.batches: Iterator[Any] = iter(self.loader)
        self.batch, self.n_dis, self.device = batch, n_dis, device

    def next_batch(self) -> list[Tensor]:
        try:
            batch = next(self.batches)
        except StopIteration:
            self.batches = iter(self.loader)
            batch = next(self.batches)
        return [part.to(self.device) for part in batch]

    def step(self) -> list[float]:
        """Run one generator step and n_dis discriminator steps, and return the numbers that it logs."""
        for number in range(self.n_dis):
            real, _ = self.next_batch()
            if number == 0:
                self.generator.zero_grad()
                generator_loss = -self.discriminator(self.fakes()).mean()
                generator_loss.backward()
                self.optimizers[0].step()
            self.discriminator.zero_grad()
            of_real = self.discriminator(real)
            of_fake = self.discriminator(self.fakes().detach())
            loss = F.relu(1 - of_real).mean() + F.relu(1 + of_fake).mean()
            loss.backward()
            self.optimizers[1].step()
            logged = [of_real.sigmoid().mean().item(), of_fake.sigmoid().mean().item(), loss.item()]
        return [*logged, generator_loss.item()]

    def fakes(self) -> Tensor:
        return self.generator(torch.randn(self.batch, 128, device=self.device))

    def close(self) -> None:
        del self.batches


class InstalledMimicry(MimicryLoop):
    """The loop of torch-mimicry's trainer around its own networks and their `train_step`.

    It omits the trainer's logging, checkpoints and pictures.

    Args:
        folder: holds the package torch_mimicry.
        arguments: those of `MimicryLoop`.
    """

    def __init__(self, folder: Path, *arguments: Any) -> None:
        super().__init__(*arguments)
        _, _, _, width, _, device = arguments
        _make_importable(folder / "torch_mimicry")
        networks = importlib.import_module("torch_mimicry.nets.sngan.sngan_32")
        self.log = importlib.import_module("torch_mimicry.training.metric_log").MetricLog
        self.generator = networks.SNGANGenerator32(ngf=round(256 * width)).to(device)
        self.discriminator = networks.SNGANDiscriminator32(ndf=round(128 * width)).to(device)
        self.optimizers = [
            torch.optim.Adam(network.parameters(), 2e-4, (0.0, 0.9)) for network in (self.generator, self.discriminator)
        ]

    def step(self) -> list[float]:
        log, given = self.log(), {"global_step": 0, "device": torch.device(self.device), "scaler": None}
        of_generator, of_discriminator = self.optimizers
        for _ in range(self.n_dis):
            real = self.next_batch()
            log = self.discriminator.train_step(real, self.generator, of_discriminator, log, **given)
        log = self.generator.train_step(real, self.discriminator, of_generator, log, **given)
        return [log[name] for name in ("D(x)", "D(G(z))", "errD", "errG")]


def _make_importable(package: Path) -> None:
    """Make the networks importable without the package's own imports, which need TensorFlow and an old torch."""
    for name in ("", ".nets", ".nets.gan", ".nets.sngan", ".training"):
        module = types.ModuleType(f"torch_mimicry{name}")
        module.__path__ = [str(package.joinpath(*name.split(".")))]
        sys.modules[module.__name__] = module
