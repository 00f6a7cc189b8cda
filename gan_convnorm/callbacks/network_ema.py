"""An exponential moving average of one network's weights."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from typing_extensions import override

from gan_convnorm.callbacks.named_network import named_network
from gan_convnorm.callbacks.step_count import step_of
from gan_convnorm.errors import BadInput

__all__ = ["NetworkEMA", "averages_in_place"]


class NetworkEMA(pl.Callback):
    """Callback that averages one network, such as a GAN's generator, and puts the average in for evaluations.

    The first step copies the parameters. After every further one the averaged parameters become decay * averaged + (1 -
    decay) * current. Buffers, such as BatchNorm's statistics and counters and the vectors of spectral normalization,
    are copied: an averaged buffer would not fit the averaged weights. The other networks are left alone; Lightning's
    EMAWeightAveraging averages the whole module.

    During validation and test the module has the averaged weights, so scores and samples of these evaluations are of
    them; the current ones are put back after it. A checkpoint has the current weights as the module's own, also one
    that is saved during a validation, and the average in the callback's state. `averaged(module)` puts it in at any
    other time.

    >>> from gan_convnorm.callbacks import NetworkEMA
    >>> NetworkEMA("generator", decay=0.99).decay
    0.99

    Args:
        network: name of the module's attribute that is the network; "" for the whole module.
        decay: share of the average that a step keeps, from 0 to below 1.

    Raises:
        BadInput: a decay out of its range; at the start, a module without such a network, or one whose weights another
            NetworkEMA averages too.
    """

    def __init__(self, network: str, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise BadInput(f"decay is {decay}; expected 0 to below 1, such as 0.999")
        self.network = network
        self.decay = decay
        self.average: AveragedModel | None = None
        #: the module whose weights are averaged, and whether the average has begun or was read from a checkpoint
        self.module: weakref.ref[pl.LightningModule] | None = None
        self.begun = False
        self.step = 0
        self.reading = contextlib.ExitStack()
        self.swapped = contextlib.ExitStack()
        self.is_swapped = False

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        network = named_network(pl_module, self.network)
        for other in _all_of(trainer):
            if other is not self and _share_weights(network, named_network(pl_module, other.network)):
                raise BadInput(
                    f"two NetworkEMA average the same weights, of {other.network!r} and {self.network!r}, and an "
                    "evaluation can have one average alone; leave one out"
                )
        # Before a checkpoint is read into it.
        if self.module is None or self.module() is not pl_module:
            self.module, self.begun = weakref.ref(pl_module), False
            self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(self.decay), use_buffers=False)
            self.average.requires_grad_(False)
        # A checkpoint's weights come between now and the start, and its average, if it has one, after them.
        self.reading.callback(network.register_load_state_dict_post_hook(self._forget).remove)

    def _forget(self, network: nn.Module, keys: object) -> None:
        self.begun = False

    @property
    def averaged_network(self) -> nn.Module:
        """The network with the averaged weights; a copy, apart from the module's own.

        Raises:
            BadInput: before the training.
        """
        if self.average is None:
            raise BadInput("the average begins with the training; call trainer.fit first")
        return self.average.module

    @property
    @override
    def state_key(self) -> str:
        return self._generate_state_key(network=self.network)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {} if self.average is None else {"average": self.average.state_dict()}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if self.average is not None and state_dict:
            # Assigned: the average still has the types from before the precision plugin converts the module.
            self.average.load_state_dict(state_dict["average"], assign=True)
            self.begun = True

    def _begin(self, module: pl.LightningModule) -> AveragedModel:
        """Return the average with the module's device and types; without one so far, begin at the weights it has now.

        These may be a checkpoint's, which knows no average: it is of a run without this callback, or of weights alone.
        """
        assert self.average is not None
        self.reading.close()
        network = named_network(module, self.network)
        for averaged, current in zip(_tensors(self.average.module), _tensors(network), strict=True):
            averaged.data = averaged.data.to(current)  # the precision plugin has converted the module since
        self.average.n_averaged = self.average.n_averaged.to(module.device)
        if not self.begun:
            self.average.module.load_state_dict(network.state_dict())
        return self.average

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begin(pl_module)
        self.begun = True
        self.step = step_of(trainer, pl_module)

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        # A batch whose gradients are only accumulated is no step.
        if (step := step_of(trainer, pl_module)) != self.step:
            self.step = step
            assert self.average is not None
            self.average.update_parameters(named_network(pl_module, self.network))

    @contextlib.contextmanager
    def averaged(self, module: pl.LightningModule) -> Iterator[None]:
        """Give a module the averaged weights inside the block, and its current ones back after it.

        In an evaluation, where it has them already, nothing changes.

        Args:
            module: the one that is trained.
        """
        if self.is_swapped:
            yield
            return
        pairs = list(zip(_tensors(named_network(module, self.network)), _tensors(self.averaged_network), strict=True))
        _swap(pairs)
        self.is_swapped = True
        try:
            yield
        finally:
            _swap(pairs)
            self.is_swapped = False

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.average is not None:
            self._begin(pl_module)
            self.swapped.enter_context(self.averaged(pl_module))

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.swapped.close()

    @override
    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # Saved during a validation, a checkpoint has each in the other's place.
        if not self.is_swapped:
            return
        weights, average = checkpoint["state_dict"], checkpoint["callbacks"][self.state_key]["average"]
        prefix = f"{self.network}." if self.network else ""
        for name in self.averaged_network.state_dict():
            one, other = f"{prefix}{name}", f"module.{name}"
            weights[one], average[other] = average[other], weights[one]

    on_test_start = on_validation_start
    on_test_end = on_validation_end

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.swapped.close()


@contextlib.contextmanager
def averages_in_place(trainer: pl.Trainer, module: pl.LightningModule) -> Iterator[None]:
    """Give a module the averages of all `NetworkEMA` of its trainer inside the block, as its validations see them.

    >>> with averages_in_place(pl.Trainer(accelerator="cpu", logger=False), pl.LightningModule()):  # it has none
    ...     pass

    Args:
        trainer: of the callbacks.
        module: the one that is trained.
    """
    with contextlib.ExitStack() as stack:
        for callback in _all_of(trainer):
            if callback.average is not None:
                stack.enter_context(callback.averaged(module))
        yield


def _all_of(trainer: pl.Trainer) -> list[NetworkEMA]:
    return [callback for callback in trainer.callbacks if isinstance(callback, NetworkEMA)]  # type: ignore[attr-defined]


def _share_weights(one: nn.Module, other: nn.Module) -> bool:
    return not {id(weight) for weight in one.parameters()}.isdisjoint(id(weight) for weight in other.parameters())


def _tensors(network: nn.Module) -> list[torch.Tensor]:
    return [*network.parameters(), *network.buffers()]


@torch.no_grad()
def _swap(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    for one, other in pairs:
        kept = one.clone()
        one.copy_(other)
        other.copy_(kept)
