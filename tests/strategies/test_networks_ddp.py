"""NetworksDDP in modules that know nothing of this package."""

import pytest
import pytorch_lightning as pl
import torch
from forked_program import ForkedProgram
from torch.utils.data import DataLoader, TensorDataset
from two_networks import train_two_networks

from gan_convnorm.errors import BadInput
from gan_convnorm.strategies import NetworksDDP


@pytest.mark.slow
def test_two_processes_train_a_strangers_networks_as_one_does(working_folder):
    weights = []
    for count in (1, 2):
        program = ForkedProgram(train_two_networks, count)
        assert program.end(300) == 0, program.printed
        weights.append(torch.load(f"weights{count}.pt", weights_only=True))
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-4, atol=1e-5)


def test_automatic_optimization_is_refused_in_one_line(tmp_path):
    class Automatic(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch, batch_idx):
            return self.layer(batch[0]).sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    trainer = pl.Trainer(
        strategy=NetworksDDP(cluster_environment=None),
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    with pytest.raises(BadInput, match="Automatic has automatic_optimization; take strategy='ddp' for it"):
        trainer.fit(Automatic(), DataLoader(TensorDataset(torch.ones(2, 1))))
