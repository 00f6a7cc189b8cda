"""Data-parallel training of several networks whose optimizers step in turn."""

from __future__ import annotations

import datetime
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.strategies.heartbeats import Heartbeats
from gan_convnorm.strategies.synced_batch_norm import SyncedBatchNormLayers

__all__ = ["NetworksDDP", "is_lost_process"]


class NetworksDDP(DDPStrategy):
    """A strategy that averages an optimizer's gradients over all processes when it steps, without wrapping the module.

    Lightning's DDP wraps the whole module, and waits in every backward for the gradients of both networks; searching
    for the unused ones (find_unused_parameters) costs a walk through the graph. Here an optimizer's gradients are one
    flat vector and one all-reduce, however many forwards and backwards they were summed over. After every training
    step the buffers (BatchNorm's statistics) are those of the first process. A process that does not answer is named
    after ten seconds.

    It suits any module with manual optimization and one or more optimizers whose backwards reach the same parameters on
    every process.

    >>> NetworksDDP().strategy_name
    'networks_ddp'

    Args:
        timeout: how long a process waits for the others before the run ends with an error.
        kwargs: see Lightning's `DDPStrategy`.

    Raises:
        BadInput: in `setup`, a module with automatic optimization.
    """

    strategy_name = "networks_ddp"

    def __init__(self, timeout: datetime.timedelta = datetime.timedelta(minutes=10), **kwargs: object) -> None:
        super().__init__(timeout=timeout, **kwargs)  # type: ignore[arg-type]
        self.heartbeats: Heartbeats | None = None

    @override
    def setup_environment(self) -> None:
        super().setup_environment()
        # The groups are made by now; their store is where the processes found each other.
        store = PrefixStore("gan_convnorm", dist.distributed_c10d._get_default_store())
        self.heartbeats = Heartbeats(store, self.global_rank, self.world_size, _warn)

    @override
    def teardown(self) -> None:
        if self.heartbeats is not None:
            self.heartbeats.stop()
        super().teardown()

    @override
    def setup(self, trainer: pl.Trainer) -> None:
        module = trainer.lightning_module
        if module.automatic_optimization and trainer.state.fn == "fit":
            # Its backward runs inside the optimizer's step, after the gradients would have been averaged.
            raise BadInput(
                f"NetworksDDP trains modules with manual optimization, and {type(module).__name__} has "
                "automatic_optimization; take strategy='ddp' for it"
            )
        if self._layer_sync is not None:
            self._layer_sync = SyncedBatchNormLayers()  # torch's own needs a GPU
        super().setup(trainer)

    @override
    def configure_ddp(self) -> None:
        assert self.model is not None
        self._copy_from_first([*self.model.parameters(), *self.model.buffers()])

    @override
    def optimizer_step(self, optimizer: Any, closure: Callable[[], Any], model: Any = None, **kwargs: Any) -> Any:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        for flat, parts in _flattened(gradients):
            dist.all_reduce(flat)
            torch._foreach_copy_(parts, [part.view_as(p) for part, p in _split(flat / self.world_size, parts)])
        return super().optimizer_step(optimizer, closure, model, **kwargs)

    @override
    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        output = super().training_step(*args, **kwargs)
        assert self.model is not None
        self._copy_from_first(self.model.buffers())
        return output

    @staticmethod
    def _copy_from_first(tensors: Iterable[Tensor]) -> None:
        with torch.no_grad():
            for flat, parts in _flattened([tensor.detach() for tensor in tensors]):
                dist.broadcast(flat, 0)
                torch._foreach_copy_(parts, [part.view_as(p) for part, p in _split(flat, parts)])


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr, flush=True)


def _flattened(tensors: Iterable[Tensor]) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """Yield, for each type of tensors, one vector of all their numbers, and the tensors."""
    kinds: dict[torch.dtype, list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        kinds[tensor.dtype].append(tensor)
    for parts in kinds.values():
        yield torch.cat([part.reshape(-1) for part in parts]), parts


def _split(flat: Tensor, parts: list[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(torch.split(flat, [part.numel() for part in parts]), parts, strict=True)


def is_lost_process(error: BaseException) -> bool:
    """Return True if a collective call failed because another process ended or did not answer in time.

    >>> is_lost_process(RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer"))
    True
    """
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo/transport" in str(error))
