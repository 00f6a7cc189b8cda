"""A few steps on digits without files, bars or scores."""

import pytorch_lightning as pl

from gan_convnorm.data import Digits
from gan_convnorm.gan import GAN


def fit(*callbacks, precision="32-true", **options):
    """The GAN and the trainer after its steps; options are the GAN's."""
    pl.seed_everything(0, verbose=False)
    gan = GAN(width=0.05, **options)
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
