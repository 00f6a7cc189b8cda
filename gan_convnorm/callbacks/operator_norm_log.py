"""Operator norms and condition numbers of a network's layers during training."""

from __future__ import annotations

import contextlib
import copy
import json
import warnings
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from typing_extensions import override

from gan_convnorm.callbacks.named_network import named_network
from gan_convnorm.callbacks.step_count import has_passed, step_of
from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.operators import (
    Layer,
    circular_size,
    condition_number,
    measure_operator,
    recording,
    singular_values,
)
from gan_convnorm.report.operator_norms_figure import draw_operator_norms

__all__ = ["OperatorNormLog"]

#: pixels of the circular grid of condition numbers and singular values: a sample of the frequencies of a larger one
GRID = 8
#: relative, of the operator norms: a curve's line is wider
TOLERANCE = 1e-2
#: singular values of a layer in singular_values.json
POINTS = 101


class OperatorNormLog(pl.Callback):
    """Callback that logs operator norm and condition number of a network's layers, and draws them at the end.

    Columns "layers/<layer>/operator_norm" (of the layer as it acts, on the image that it sees, to 1 %) and
    "layers/<layer>/condition_number" (of the circular convolution on 8x8 pixels, or as many as the layer sees):
    before the first step, every `every` steps, and after the last. Writes `folder`/operator_norms.png and, for
    comparisons, singular_values.json with the singular values before and after training. For another network than the
    discriminator they are operator_norms-<network>.png and singular_values-<network>.json.

    Training is the same with and without it: layers are measured in evaluation mode, in which no norm's state advances,
    and nothing is drawn from the global random state. The last measurement's singular vectors start the next one, and
    are in the checkpoint, so a resumed run measures what the whole one would.

    It works in any LightningModule, for any network of convolutions and linear layers.

    >>> from gan_convnorm.callbacks import OperatorNormLog
    >>> OperatorNormLog(".", every=50, network="critic").network
    'critic'

    Args:
        folder: where to write; made when missing.
        every: steps between two measurements: the module's `g_step` if it counts its own, else the trainer's.
        network: name of the module's attribute that is the network, such as "critic" or "model.encoder".

    Raises:
        BadInput: an interval below 1; at the start of the training, a module without such a network.
    """

    def __init__(self, folder: str | PathLike[str], every: int = 100, *, network: str = "discriminator") -> None:
        if every < 1:
            raise BadInput(f"the interval of the operator norm log is {every}; expected 1 step or more")
        self.folder = Path(folder)
        self.every = every
        self.network = network
        self.layers: list[Layer] = []
        self.history: dict[str, list[tuple[int, float, float | None]]] = {}
        self.before: dict[str, list[float]] = {}
        self.vectors: dict[str, torch.Tensor] = {}
        self.watching = contextlib.ExitStack()
        self.last_step = 0

    @property
    @override
    def state_key(self) -> str:
        # Two of them in one trainer are of different networks.
        return super().state_key if self.network == "discriminator" else self._generate_state_key(network=self.network)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "before": self.before, "vectors": self.vectors}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in ("history", "before", "vectors"):
            if not isinstance(value := state_dict.get(name), dict):
                raise BadInput(
                    f"the checkpoint's OperatorNormLog has {name} {value!r:.40}; expected a mapping by layer"
                )
        self.history, self.before = state_dict["history"], state_dict["before"]
        self.vectors = state_dict["vectors"]

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        network = named_network(pl_module, self.network)
        self.last_step = step_of(trainer, pl_module)
        self.layers = []  # those of an earlier fit may be another module's
        if not trainer.is_global_zero:
            return

        def first_forward(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            # Here the images' sizes are known. The layers are watched in a copy: watched ones are called one by one,
            # and the training's rounding would not be the same.
            self.watching.close()  # or the copy would watch too
            watched = copy.deepcopy(network)
            with torch.no_grad(), torch.random.fork_rng(), recording(watched) as layers:
                watched(*inputs, **named)
            for layer in layers:
                module = network.get_submodule(layer.name.split("#")[0])
                # A network that is one layer has no name in itself.
                self.layers.append(replace(layer, module=module, name=layer.name or self.network.split(".")[-1]))
            self.watching.callback(network.register_forward_hook(after_it).remove)

        def after_it(*_: object) -> None:
            # No weight has been changed yet.
            self.watching.close()
            if not self.history:
                self._measure(trainer, self.last_step)  # of a resumed run that has not measured so far: not 0
                self.before = self._singular_values()

        self.watching.callback(network.register_forward_pre_hook(first_forward, with_kwargs=True).remove)

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        before, self.last_step = self.last_step, step_of(trainer, pl_module)
        if self.layers and has_passed(before, self.last_step, self.every):
            self._measure(trainer, self.last_step)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.watching.close()
        if not self.layers:
            if trainer.is_global_zero:
                warnings.warn(
                    f"the operator norm log has measured nothing: {self.network} was never called by its forward, or "
                    "has no linear layer",
                    stacklevel=2,
                )
            return
        step = step_of(trainer, pl_module)
        if all(points[-1][0] != step for points in self.history.values()):
            self._measure(trainer, step)
        after = self._singular_values()
        both = {name: {"before": self.before.get(name), "after": values} for name, values in after.items()}
        self.folder.mkdir(parents=True, exist_ok=True)
        suffix = "" if self.network == "discriminator" else f"-{self.network}"
        with atomic_write(self.folder / f"singular_values{suffix}.json") as part:
            part.write_text(json.dumps({"grid": GRID, "layers": both}) + "\n", encoding="utf-8")
        draw_operator_norms(self.history, both, self.folder / f"operator_norms{suffix}.png")

    def _measure(self, trainer: pl.Trainer, step: int) -> None:
        metrics: dict[str, float] = {}
        for layer in self.layers:
            found = measure_operator(layer.operator(), tolerance=TOLERANCE, start=self.vectors.get(layer.name))
            self.vectors[layer.name] = found.vector
            condition = None
            with contextlib.suppress(BadInput):  # a layer whose singular values are not known
                condition = condition_number(layer.module, circular_size(layer.module, layer.input_size, GRID))
            self.history.setdefault(layer.name, []).append((step, found.value, condition))
            metrics[f"layers/{layer.name}/operator_norm"] = found.value
            if condition is not None:
                metrics[f"layers/{layer.name}/condition_number"] = condition
        # Not through the module's log, whose values Lightning writes at its own interval.
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=step)

    def _singular_values(self) -> dict[str, list[float]]:
        """Return falling quantiles of the circular singular values by layer, omitting layers without known ones."""
        found = {}
        for layer in self.layers:
            with contextlib.suppress(BadInput):
                values = singular_values(layer.module, circular_size(layer.module, layer.input_size, GRID))
                index = torch.linspace(0, len(values) - 1, min(POINTS, len(values))).round().long()
                found[layer.name] = [float(f"{value:.5g}") for value in values[index.to(values.device)].tolist()]
        return found
