"""Weights of a trained GAN as the start of another one's training (fine-tuning), taken layer by layer."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.files.weights import check_finite
from gan_convnorm.files.weights_file import read_weights
from gan_convnorm.gan.generator_file import WEIGHTS as GENERATOR
from gan_convnorm.gan.module import GAN
from gan_convnorm.gan.pretrained import WEIGHTS as WHOLE
from gan_convnorm.run_folder import read_checkpoint

__all__ = ["take_weights"]

#: parts of the networks that a line names; the rest are a number
MOST_PARTS = 4


@torch.no_grad()
def take_weights(gan: GAN, source: Path) -> str:
    """Copy every layer of a trained GAN that fits into a GAN, and leave the others as they are.

    A layer fits if the other GAN has one of the same name whose tensors have the same names and shapes. The generator
    of a higher resolution begins with the same blocks as that of a lower one, so these fit. An export holds the
    generator alone; its weights become the current and the averaged ones. The file chooses no code and no network.

    >>> take_weights(GAN(), Path("checkpoints/digits_convnorm"))
    'initial weights from checkpoints/digits_convnorm: 13 of 13 layers of the generator, ...'

    Args:
        gan: the GAN; its optimizers and its count of steps stay new.
        source: a .ckpt file that a run has written; or a folder of `GAN.save_pretrained` or of `export`, or its
            .safetensors file.

    Returns:
        One line that says how many layers fit, and which do not and why.

    Raises:
        BadInput: a missing, damaged or foreign file, NaN or infinite weights, or no layer that fits.
    """
    saved = _by_layer(_read(source))
    layers = _by_layer(gan.state_dict())
    taken, total = Counter[str](), Counter[str]()
    reasons: dict[str, str] = {}
    there = {layer.partition(".")[0] for layer in saved}
    for layer, tensors in layers.items():
        network, _, inner = layer.partition(".")
        total[network] += 1
        if reason := _misfit(tensors, saved.get(layer, {})):
            if network != "generator_ema":  # the same layers as the generator's
                reasons.setdefault(f"{network}.{_part(inner)}" if network in there else network, reason)
            continue
        taken[network] += 1
        for name, value in tensors.items():
            value.copy_(saved[layer][name])
    if not taken:
        raise BadInput(
            f"no layer of {source} fits these networks ({_listed(reasons)}); give the --network, --width, --disc-norm "
            "and --gen-norm that it was trained with, or start without --init-from"
        )
    counts = ", ".join(
        f"{taken[name]} of {total[name]} layers of the {name}" for name in ("generator", "discriminator")
    )
    rest = f"; new: {_listed(reasons)}" if reasons else ""
    return f"initial weights from {source}: {counts}{rest}"


def _read(source: Path) -> dict[str, Tensor]:
    """Return a file's weights under the names that a GAN gives them."""
    if source.is_dir():
        found = [source / name for name in (WHOLE, GENERATOR) if (source / name).is_file()]
        if not found:
            raise BadInput(
                f"{source} has no {WHOLE} and no {GENERATOR}; expected a .ckpt file, or a folder of "
                "GAN.save_pretrained or export"
            )
        source = found[0]
    if source.suffix == ".safetensors":
        weights = read_weights(source)
    else:
        state = read_checkpoint(source)["state_dict"]
        weights = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    check_finite(weights)
    if any(name.startswith(("generator.", "discriminator.")) for name in weights):
        return weights
    return {f"{network}.{name}": value for network in ("generator", "generator_ema") for name, value in weights.items()}


def _by_layer(weights: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return weights by layer; the tensors of a normalized layer are one layer's, also those in its parametrization."""
    layers: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, value in weights.items():
        if name.endswith(".conditions"):  # vectors of images, no weights of a layer
            continue
        layer = name.partition(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]
        layers[layer][name] = value
    return layers


def _misfit(own: dict[str, Tensor], found: dict[str, Tensor]) -> str:
    """Return why a saved layer does not fit, "" if it does."""
    if not found:
        return "is not in the file"
    if own.keys() != found.keys():
        return "has another normalization"
    for name, value in own.items():
        if found[name].shape != value.shape:
            return f"has the shape {tuple(value.shape)}, not {tuple(found[name].shape)}"
        if found[name].is_floating_point() != value.is_floating_point():
            return "has another kind of numbers"
    return ""


def _part(layer: str) -> str:
    """Return the part of a network that a layer is in: a block, or the layer itself.

    >>> _part("blocks.2.conv1"), _part("attention.query")
    ('blocks.2', 'attention')
    """
    parts = layer.split(".")
    return ".".join(parts[:2]) if parts[0] == "blocks" else parts[0]


def _listed(reasons: dict[str, str]) -> str:
    shown = [f"{name} {reason}" for name, reason in list(reasons.items())[:MOST_PARTS]]
    more = len(reasons) - len(shown)
    return ", ".join(shown) + (f", and {more} more" if more else "")
