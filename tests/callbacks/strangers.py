"""LightningModules that know nothing of this package: a VAE, a GAN with two optimizers, a classifier."""

from functools import cache

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gan_convnorm.callbacks.generated_samples import image_bytes


def digits_loader(count=128, batch_size=32, shuffle=False, labels=True):
    """A loader of digits as floats in [0, 1], 8x8, with labels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = torch.tensor(found.images[:count], dtype=torch.float32)[:, None] / 16
    tensors = (images, torch.tensor(found.target[:count])) if labels else (images,)
    return DataLoader(TensorDataset(*tensors), batch_size=batch_size, shuffle=shuffle)


@cache
def reference():
    """The same digits as bytes, with labels."""
    images, labels = digits_loader().dataset.tensors
    return image_bytes(images, (0, 1), "images", samples=False), labels


class VAE(pl.LightningModule):
    """Automatic optimization, a validation loss, BatchNorm and dropout, no `sample`."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 8))
        self.decoder = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 64), nn.Sigmoid())

    def loss(self, batch):
        images = batch[0] if isinstance(batch, (list, tuple)) else batch
        mean, deviation = self.encoder(images).chunk(2, 1)
        latents = mean + torch.randn_like(mean) * deviation.exp()
        error = (self.decoder(latents).view_as(images) - images).square().sum()
        return (error + 0.5 * (mean.square() + (2 * deviation).exp() - 2 * deviation - 1).sum()) / len(images)

    def training_step(self, batch, batch_idx):
        return self.loss(batch)

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-3)


def decode_prior(module, n):
    """Samples of a VAE, floats in [0, 1]."""
    return module.decoder(torch.randn(n, 4, device=module.device)).view(n, 1, 8, 8)


class Sampling(VAE):
    """A VAE with a method `sample` as its author would write it."""

    def sample(self, n):
        return (decode_prior(self, n) * 255).round().byte()


class TwoOptimizers(pl.LightningModule):
    """A GAN with manual optimization, whose networks are called as its author likes."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.maker = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 64), nn.Tanh())
        self.critic = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 1))

    def sample(self, n):
        return self.maker(torch.randn(n, 4, device=self.device)).view(n, 1, 8, 8)

    def training_step(self, batch, batch_idx):
        images = 2 * batch[0] - 1
        for_maker, for_critic = self.optimizers()
        loss = torch.relu(1 - self.critic(images)).mean() + torch.relu(1 + self.critic(self.sample(32).detach())).mean()
        for_critic.zero_grad()
        self.manual_backward(loss)
        for_critic.step()
        for_maker.zero_grad()
        self.manual_backward(-self.critic(self.sample(32)).mean())
        for_maker.step()
        return {"critic": loss.detach()}

    def configure_optimizers(self):
        return torch.optim.Adam(self.maker.parameters(), 1e-3), torch.optim.Adam(self.critic.parameters(), 1e-3)


class PlainClassifier(pl.LightningModule):
    """A convolutional classifier under a name of its own; its loss becomes NaN at the step `breaks`."""

    def __init__(self, breaks=None):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2), nn.Flatten())
        self.head = nn.Linear(16, 10)
        self.breaks = breaks

    def training_step(self, batch, batch_idx):
        loss = nn.functional.cross_entropy(self.head(self.net(batch[0])), batch[1])
        return loss * float("nan") if batch_idx == self.breaks else loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(module, callbacks, loader=None, val=None, ckpt_path=None, **options):
    """Train a module; return its trainer."""
    pl.seed_everything(0, verbose=False)
    options = {"max_epochs": 2, "logger": False, "enable_checkpointing": False} | options
    trainer = pl.Trainer(
        accelerator="cpu",
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(module, digits_loader() if loader is None else loader, val, ckpt_path=ckpt_path)
    return trainer
