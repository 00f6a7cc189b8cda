"""A few steps on digits without files, bars or scores."""

from dataclasses import fields

import pytorch_lightning as pl

from gan_convnorm.data import Digits
from gan_convnorm.gan import GAN, Architecture, Optimization


def make_gan(**options):
    """A GAN from options by their own names, in whichever group of settings they are."""
    groups = {"architecture": Architecture, "optimization": Optimization}
    for name, group in groups.items():
        known = [field.name for field in fields(group) if field.name in options]
        options[name] = group(**{each: options.pop(each) for each in known})
    return GAN(**options)


def small_gan(**options):
    """The same with narrow networks."""
    return make_gan(**{"width": 0.05} | options)


def fit(*callbacks, precision="32-true", **options):
    """The GAN and the trainer after its steps; options are those of `small_gan`."""
    pl.seed_everything(0, verbose=False)
    gan = small_gan(**options)
    trainer = pl.Trainer(
        max_epochs=-1,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        accelerator="cpu",
        precision=precision,
    )
    trainer.fit(gan, Digits(batch_size=8))
    return gan, trainer
