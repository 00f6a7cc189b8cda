"""A trained generator alone: safetensors, with a JSON file that says what it is."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.files.plain_json import read_json
from gan_convnorm.files.plain_values import check_arguments
from gan_convnorm.files.text import read_text
from gan_convnorm.files.trust import check_trusted, code_names
from gan_convnorm.files.weights import check_weights
from gan_convnorm.files.weights_file import read_weights, write_weights
from gan_convnorm.gan.sampling import Sampler
from gan_convnorm.networks import Generator, find_networks

__all__ = ["WEIGHTS", "TrainedGenerator", "read_generator", "write_generator"]

WEIGHTS = "generator.safetensors"


class TrainedGenerator(Sampler, nn.Module):
    """A generator without its discriminator, which samples and decodes as a `GAN` does.

    >>> sizes = {"resolution": 32, "width": 0.1}
    >>> description = {"network": "sngan", "arguments": sizes, "seed": 0, "g_step": 0, "weights": "ema"}
    >>> TrainedGenerator(description).sample(2).shape
    torch.Size([2, 3, 32, 32])

    Args:
        description: what `write_generator` wrote: "network", a key of `NETWORKS`; "arguments", of its generator's
            constructor; "seed", of the run; "g_step", generator steps of its training; "weights", ema or raw; other
            entries are kept and not read.
    """

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__()
        self.description = description
        network = find_networks(description["network"]).generator
        self.generator: Generator = network(**description["arguments"]).to(memory_format=torch.channels_last)
        self.latent_dim = self.generator.latent_dim
        self.num_classes = self.generator.num_classes
        self.condition_size = self.generator.condition_size
        self.seed = description["seed"]
        self.g_step = description["g_step"]

    @override
    def generator_with(self, *, ema: bool) -> nn.Module:
        """Return the network if it has these weights: an export holds either the averaged or the current ones.

        Args:
            ema: the averaged weights, else the current ones.

        Raises:
            BadInput: the export holds the others.
        """
        if ema != (self.description["weights"] == "ema"):
            found = "averaged" if ema is False else "current"
            raise BadInput(
                f"the export holds the {found} weights alone; give ema={not ema}, or export the others "
                "from the checkpoint"
            )
        return self.generator


def write_generator(network: nn.Module, description: dict[str, Any], folder: Path) -> list[Path]:
    """Write `folder`/generator.safetensors and generator.json.

    >>> import tempfile
    >>> sizes = {"resolution": 32, "width": 0.1}
    >>> description = {"network": "sngan", "arguments": sizes, "seed": 0, "g_step": 0, "weights": "ema"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_generator(TrainedGenerator(description).generator, description, Path(folder))]
    ['generator.safetensors', 'generator.json']

    Args:
        network: the generator.
        description: see `TrainedGenerator`.
        folder: exists.

    Returns:
        The two files.
    """
    path = folder / WEIGHTS
    write_weights(network.state_dict(), path)
    with atomic_write(path.with_suffix(".json")) as part:
        part.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return [path, path.with_suffix(".json")]


def read_generator(path: Path, trust: Sequence[str] = ()) -> TrainedGenerator:
    """Return the generator that `write_generator` wrote.

    >>> import tempfile
    >>> sizes = {"resolution": 32, "width": 0.1}
    >>> description = {"network": "sngan", "arguments": sizes, "seed": 0, "g_step": 0, "weights": "ema"}
    >>> generator = TrainedGenerator(description)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_generator(generator.generator, description, Path(folder))
    ...     found = read_generator(Path(folder))
    >>> torch.equal(found.sample(2), generator.sample(2))
    True

    Args:
        path: the folder, or its .safetensors file; the JSON file lies beside it.
        trust: modules that the JSON file may name.

    Raises:
        BadInput: a missing, damaged or foreign file; code that is not trusted; NaN weights.
    """
    path = path / WEIGHTS if path.is_dir() else path
    beside = path.with_suffix(".json")
    for file in (path, beside):
        if not file.is_file():
            raise BadInput(
                f"there is no {file}; expected a folder with {WEIGHTS} and {beside.name}, as "
                "python train_gan.py export writes it"
            )
    description = _read_description(beside, trust)
    try:
        module = TrainedGenerator(description)
    except BadInput:
        raise
    except (TypeError, ValueError, RuntimeError, ArithmeticError, MemoryError) as error:
        raise BadInput(f"{beside} does not describe a generator of this version ({str(error)[:200]})") from error
    tensors = read_weights(path)
    check_weights(module.generator, tensors)
    module.generator.load_state_dict(tensors)
    return module.eval()


def _read_description(path: Path, trust: Sequence[str]) -> dict[str, Any]:
    found = read_json(read_text(path, "what python train_gan.py export writes"), str(path))
    entries = inspect.signature(_description).parameters
    known = {name: found[name] for name in entries if name in found} if isinstance(found, dict) else found
    description = check_arguments(_description, known, path)
    arguments = description["arguments"]
    names = code_names(description["network"]) + code_names(str(arguments.get("norm")))
    check_trusted(names, trust, path)
    generator = find_networks(description["network"]).generator
    check_arguments(generator, arguments, f"the generator's arguments in {path}")
    if description["weights"] not in ("ema", "raw") or description["g_step"] < 0:
        raise BadInput(
            f"{path} says weights {description['weights']!r:.20} of step {description['g_step']}; expected ema or raw, "
            "of step 0 or later"
        )
    return {**found, **description}


def _description(network: str, arguments: dict[str, Any], seed: int, g_step: int, weights: str) -> None:
    """Name the entries that the JSON file must have, and their types, for `check_arguments`."""
