"""A few steps on digits without files, bars or scores."""

import csv
from dataclasses import fields

import pytorch_lightning as pl

from gan_convnorm.data import Digits
from gan_convnorm.gan import GAN, Architecture, Optimization
from gan_convnorm.run_folder.metrics_file import MetricsFile


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


def logging_trainer(folder, callbacks, validate_every):
    """A trainer that writes every step into the folder's metrics.csv."""
    return pl.Trainer(
        max_epochs=-1,
        accelerator="cpu",
        logger=[MetricsFile(folder / "metrics.csv")],
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        check_val_every_n_epoch=None,
        val_check_interval=validate_every,
        log_every_n_steps=1,
    )


def logged_rows(folder):
    """The rows of its metrics.csv by step."""
    with (folder / "metrics.csv").open(newline="") as file:
        return {int(row["step"]): row for row in csv.DictReader(file)}
