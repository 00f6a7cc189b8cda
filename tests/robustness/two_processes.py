"""A classifier that two processes train and measure; two.json and two.pt are left in the current folder."""

import pytorch_lightning as pl
import torch

from gan_convnorm.data import Digits
from gan_convnorm.robustness.classifier import Classifier
from gan_convnorm.robustness.evaluation import RobustnessEvaluation
from gan_convnorm.robustness.training_data import LabelledData, TrainingSplit


def train_on_two_processes():
    torch.set_num_threads(1)
    pl.seed_everything(5)
    module = Classifier(width=0.5, norm="none", crop=0)
    data = LabelledData(Digits(resolution=8, batch_size=16), TrainingSplit(fraction=0.1))
    evaluation = RobustnessEvaluation("fog", attacks="pgd", attack_steps=2, num_images=200, json="two.json")
    trainer = pl.Trainer(
        strategy="ddp_fork",
        accelerator="cpu",
        devices=2,
        max_epochs=1,
        limit_val_batches=0,
        callbacks=[evaluation],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
    )
    trainer.fit(module, data)
    torch.save(module.state_dict(), "two.pt")
