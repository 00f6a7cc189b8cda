"""A tiny diffusion model (diffusers) with FID of its averaged weights every N steps, and the best checkpoint.

python examples/tiny_diffusion.py --out diffusion
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pytorch_lightning as pl
import torch
from diffusers import DDIMScheduler, UNet2DModel
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from gan_convnorm.callbacks import FidelityScores, FiniteCheck, NetworkEMA, SampleGrids
from gan_convnorm.data import Digits


class Diffusion(pl.LightningModule):
    """Denoising diffusion (Ho et al., arXiv:2006.11239) of 16x16 digits, sampled by DDIM (arXiv:2010.02502)."""

    def __init__(self, width: int = 16, sampling_steps: int = 10) -> None:
        super().__init__()
        self.unet = UNet2DModel(
            sample_size=16,
            in_channels=1,
            out_channels=1,
            layers_per_block=1,
            block_out_channels=(width, 2 * width, 2 * width),
            norm_num_groups=8,
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        )
        self.schedule = DDIMScheduler(num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2")
        self.sampling_steps = sampling_steps

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return the mean square error of the predicted noise."""
        images = batch[0] / 127.5 - 1
        noise = torch.randn_like(images)
        times = torch.randint(1000, (len(images),), device=self.device)
        noisy = self.schedule.add_noise(images, noise, times)
        return torch.nn.functional.mse_loss(self.unet(noisy, times).sample, noise)

    def sample(self, n: int) -> Tensor:
        """Return n samples about in [-1, 1], shape (n, 1, 16, 16)."""
        images = torch.randn(n, 1, 16, 16, device=self.device)
        self.schedule.set_timesteps(self.sampling_steps)
        for time in self.schedule.timesteps:
            images = self.schedule.step(self.unet(images, time).sample, time, images).prev_sample
        return images

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW."""
        return torch.optim.AdamW(self.parameters(), 2e-3)


def main(words: list[str] | None = None) -> None:
    """Train, score the averaged weights every so many steps, and say which checkpoint is the best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--every", type=int, default=400, help="steps between two evaluations")
    parser.add_argument("--num-fake", type=int, default=500, help="samples that are scored")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--out", type=Path, default=Path("diffusion"))
    options = parser.parse_args(words)
    pl.seed_everything(0, verbose=False)
    data = Digits(resolution=16)
    data.setup()
    average = NetworkEMA("unet", decay=0.99)

    def averaged_samples(module: Diffusion, n: int) -> Tensor:
        with average.averaged(module):
            return module.sample(n)

    scores = FidelityScores(
        data.train_set, averaged_samples, value_range=(-1, 1), every=options.every, num_fake=options.num_fake
    )
    best = ModelCheckpoint(options.out, "best", monitor="fid", every_n_train_steps=options.every)
    grids = SampleGrids(
        options.out / "samples", sample=averaged_samples, value_range=(-1, 1), every=options.every, early=(0,)
    )
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        max_steps=options.steps,
        callbacks=[FiniteCheck(), average, scores, grids, best],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(Diffusion(options.width), DataLoader(data.train_set, batch_size=32, shuffle=True, drop_last=True))
    print(f"best FID {float(best.best_model_score):.2f}: {best.best_model_path}")


if __name__ == "__main__":
    main()
