"""A stranger's two networks, trained on a number of processes N; weightsN.pt is left in the current folder."""

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from gan_convnorm.strategies import NetworksDDP


class TwoNetworks(pl.LightningModule):
    """Manual optimization, each optimizer twice as often as the other, no noise."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.first, self.second = nn.Linear(3, 2), nn.Linear(2, 1)

    def training_step(self, batch, batch_idx):
        one, other = self.optimizers()
        for _ in range(2):
            one.zero_grad()
            self.manual_backward((self.second(self.first(batch[0]).tanh()) - batch[1]).square().mean())
            one.step()
        other.zero_grad()
        self.manual_backward((self.second(self.first(batch[0]).tanh().detach()) - batch[1]).square().mean())
        other.step()

    def train_dataloader(self):
        inputs = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        data = TensorDataset(inputs, inputs.prod(1, keepdim=True))
        size, rank = self.trainer.world_size, self.trainer.global_rank
        # Consecutive images are shared out in turn: two halves of 8 are a batch of 16.
        return DataLoader(data, 16 // size, sampler=DistributedSampler(data, size, rank, shuffle=False))

    def configure_optimizers(self):
        return torch.optim.SGD(self.first.parameters(), 0.1), torch.optim.Adam(self.second.parameters(), 0.01)


def train_two_networks(count):
    torch.set_num_threads(1)
    pl.seed_everything(5)
    module = TwoNetworks()
    trainer = pl.Trainer(
        strategy=NetworksDDP(start_method="fork") if count > 1 else "auto",
        accelerator="cpu",
        devices=count,
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
    )
    trainer.fit(module)
    if trainer.is_global_zero:
        torch.save(module.state_dict(), f"weights{count}.pt")
