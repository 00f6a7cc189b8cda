"""A stranger's VAE, validated on a number of processes N; scoresN.json is left in the current folder."""

import json
from pathlib import Path

import pytorch_lightning as pl
import torch
from strangers import VAE, decode_prior, digits_loader
from torch.utils.data import default_collate

from gan_convnorm.callbacks import FidelityScores


def validate(count):
    torch.set_num_threads(1)
    pl.seed_everything(5)
    callback = FidelityScores(sample=decode_prior, value_range=(0, 1), num_fake=600, metrics="isc,fid,kid,prc")
    trainer = pl.Trainer(
        strategy="ddp_fork" if count > 1 else "auto",
        accelerator="cpu",
        devices=count,
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    loader = digits_loader()
    loader.collate_fn = lambda items: default_collate(items)  # Lightning shares its images out as it does others'
    logged = trainer.validate(VAE(), loader, verbose=False)
    if trainer.is_global_zero:
        Path(f"scores{count}.json").write_text(
            json.dumps({name: value for name, value in logged[0].items() if name != "val_loss"})
        )
