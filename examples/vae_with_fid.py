"""Your own VAE in Lightning, with FID after every fifth of the epochs and the best checkpoint by FID.

python examples/vae_with_fid.py --out vae
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from gan_convnorm.callbacks import FidelityScores, SampleGrids


class VAE(pl.LightningModule):
    """A variational autoencoder (Kingma and Welling, arXiv:1312.6114) of 16x16 images that knows no gan_convnorm."""

    def __init__(self, latent_dim: int = 16, width: int = 256) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(256, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 32)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 256)
        )

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return the negative evidence lower bound, per image."""
        images = batch[0]
        mean, log_deviation = self.encoder(images).chunk(2, dim=1)
        latents = mean + torch.randn_like(mean) * log_deviation.exp()
        logits = self.decoder(latents).view_as(images)
        error = nn.functional.binary_cross_entropy_with_logits(logits, images, reduction="sum")
        divergence = 0.5 * (mean.square() + (2 * log_deviation).exp() - 2 * log_deviation - 1).sum()
        return (error + divergence) / len(images)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), 1e-3)


def from_prior(module: VAE, n: int) -> Tensor:
    """Return n samples in [0, 1], shape (n, 1, 16, 16)."""
    latents = torch.randn(n, module.latent_dim, device=module.device)
    return module.decoder(latents).sigmoid().view(n, 1, 16, 16)


def digits() -> TensorDataset:
    """Return scikit-learn's digits as floats in [0, 1], shape (1797, 1, 16, 16), with labels."""
    found = load_digits()
    images = torch.tensor(found.images, dtype=torch.float32)[:, None] / 16
    return TensorDataset(nn.functional.interpolate(images, size=16, mode="bilinear"), torch.tensor(found.target))


def main(words: list[str] | None = None) -> None:
    """Train, score after every fifth of the epochs, and say which checkpoint is the best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--num-fake", type=int, default=2000, help="samples that are scored")
    parser.add_argument("--out", type=Path, default=Path("vae"))
    options = parser.parse_args(words)
    pl.seed_everything(0, verbose=False)
    data = digits()
    steps = max(1, options.epochs // 5) * len(DataLoader(data, 64))
    scores = FidelityScores(data, from_prior, value_range=(0, 1), every=steps, num_fake=options.num_fake)
    best = ModelCheckpoint(options.out, "best", monitor="fid", every_n_train_steps=steps)
    grids = SampleGrids(options.out / "samples", sample=from_prior, value_range=(0, 1), every=steps)
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        max_epochs=options.epochs,
        callbacks=[scores, grids, best],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(VAE(), DataLoader(data, batch_size=64, shuffle=True))
    print(f"best FID {float(best.best_model_score):.2f}: {best.best_model_path}")


if __name__ == "__main__":
    main()
