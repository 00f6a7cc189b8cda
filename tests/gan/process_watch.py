"""A callback that compares the processes of a run."""

import hashlib
import json
from pathlib import Path

import pytorch_lightning as pl
import torch.distributed as dist


class Watch(pl.Callback):
    """After every step: are the processes' weights and buffers the same, and what they saw not?"""

    def on_train_start(self, trainer, pl_module):
        self.found = []
        pl_module.generator.register_forward_pre_hook(lambda _, inputs: self.noises.append(inputs[0].clone()))
        self.noises = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        mine = [digest(pl_module.state_dict().values()), digest([batch[0]]), digest(self.noises)]
        every = [None] * dist.get_world_size()
        dist.all_gather_object(every, mine)
        self.found.append([len(set(column)) for column in zip(*every, strict=True)])
        self.noises = []
        if trainer.is_global_zero:
            Path("watched.json").write_text(json.dumps(self.found))


def digest(tensors):
    return hashlib.sha256(b"".join(t.detach().contiguous().numpy().tobytes() for t in tensors)).hexdigest()
