"""Normalized layers: their arguments and their inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bad_input_cases.case import accepted, call, calls
from bad_input_cases.function_calls import BATCH, INF, NAN
from gan_convnorm import layers

__all__ = ["CASES"]


def convnorm(**options: Any) -> layers.ConvNorm2d:
    return layers.ConvNorm2d(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3, "padding": 1} | options)


CONSTRUCTED = [
    ({"kernel_size": 0}, "kernel of 0", "kernel_size.*0"),
    ({"kernel_size": -3}, "kernel below zero", "kernel_size.*-3"),
    ({"kernel_size": (3, 3, 3)}, "kernel of three sides", "kernel_size"),
    ({"stride": 0}, "stride of 0", "stride.*0"),
    ({"stride": -1}, "stride below zero", "stride.*-1"),
    ({"dilation": 0}, "dilation of 0", "dilation.*0"),
    ({"padding": -1}, "padding below zero", "padding.*-1"),
    ({"padding": "full"}, "unknown padding", "padding.*full"),
    ({"padding_mode": "mirror"}, "unknown padding mode", "padding_mode.*mirror|mirror.*padding_mode"),
    ({"groups": 3}, "groups that do not divide", "groups|divisible"),
    ({"groups": 0}, "no groups", "groups"),
    ({"eps": -1.0}, "eps below zero", "eps.*-1"),
    ({"eps": NAN}, "eps NaN", "eps.*nan"),
    ({"eps": INF}, "eps infinite", "eps.*inf"),
    ({"gain": NAN}, "gain NaN", "gain.*nan"),
    ({"gain": -1.0}, "gain -1", "gain.*-1"),
    ({"gain": INF}, "gain infinite", "gain.*inf"),
    ({"gain": "high"}, "unknown gain", "gain.*high"),
    ({"max_gain": 2.0}, "cap without a learned gain", "max_gain"),
    ({"gain": "learned", "max_gain": 0.0}, "cap of zero", "max_gain.*0"),
    ({"gain": "learned", "max_gain": NAN}, "cap NaN", "max_gain.*nan"),
    ({"affine": "full"}, "unknown affine", "affine.*full"),
    ({"gradient": "half"}, "unknown gradient", "gradient.*half"),
    ({"strided": "skip"}, "unknown stride's way", "strided.*skip"),
    ({"boundary": "torus"}, "unknown boundary", "boundary.*torus"),
    ({"tolerance": -1.0}, "tolerance below zero", "tolerance.*-1"),
    ({"tolerance": 1.0}, "tolerance of one", "tolerance.*1"),
    ({"tolerance": NAN}, "tolerance NaN", "tolerance.*nan"),
    ({"max_radius": 0}, "radius of zero", "max_radius.*0"),
    ({"boundary": "linear", "padding_mode": "circular"}, "linear boundary of a circle", "boundary"),
    ({"dtype": torch.int32}, "whole numbers", "int32|dtype|float"),
]
FORWARDS: list[tuple[str, Callable[[], Any], str]] = [
    (lambda: convnorm(padding=0)(BATCH[:, :, :2, :2]), "an image below the kernel", "below the kernel|smaller"),
    (lambda: convnorm(padding=0)(BATCH[:, :, :0, :0]), "an image without pixels", "pixel|below|0"),
    (lambda: convnorm()(BATCH[:, :3]), "other channels", "3.*4|4.*3|channels"),
    (lambda: convnorm()(BATCH[0, 0]), "a matrix", "2-dimensional|dimension|2D|shape"),
    (lambda: convnorm()(BATCH[0, 0, 0]), "a vector", "1-dimensional|dimension|1D|shape"),
    (lambda: convnorm()(BATCH[None]), "five dimensions", "5-dimensional|dimension|5D|shape"),
    (lambda: convnorm()(BATCH.byte()), "bytes", "uint8|Byte|dtype"),
    (lambda: convnorm()(BATCH.to(torch.complex64)), "complex numbers", "complex|dtype"),
    (lambda: convnorm()(BATCH.double()), "another dtype", "double|float64|dtype"),
]


def empty_batch() -> None:
    assert convnorm()(BATCH[:0]).shape == (0, 4, 8, 8)


def meta() -> None:
    with torch.device("meta"):
        assert convnorm()(torch.empty(2, 4, 8, 8)).shape == (2, 4, 8, 8)


def traced() -> None:
    layer = convnorm().eval()
    assert torch.allclose(torch.jit.trace(layer, BATCH)(BATCH), layer(BATCH), atol=1e-5)


def vmapped() -> None:
    layer = convnorm().eval()
    assert torch.allclose(torch.vmap(layer)(BATCH[None])[0], layer(BATCH), atol=1e-5)


def unbatched() -> None:
    layer = convnorm().eval()
    assert torch.allclose(layer(BATCH[0]), layer(BATCH)[0], atol=1e-5)


def channels_last() -> None:
    layer = convnorm().eval()
    assert torch.allclose(layer(BATCH.to(memory_format=torch.channels_last)), layer(BATCH), atol=1e-5)


def to_empty() -> None:
    with torch.device("meta"):
        layer = convnorm(affine="depthwise", gain="learned")
    layer.to_empty(device="cpu").reset_parameters()
    assert all(bool(p.isfinite().all()) for p in layer.parameters())
    assert layer.affine_weight is not None and layer.affine_weight[:, 1, 1].eq(1).all()


def zero_weights() -> None:
    conv = nn.Conv2d(4, 4, 3, padding=1)
    nn.init.zeros_(conv.weight)
    layer = layers.spectral_conv(conv)
    for _ in range(3):
        assert layer(BATCH).isfinite().all()
    with torch.no_grad():
        layer.parametrizations.weight.original.normal_()
    assert layer(BATCH).isfinite().all()


def original_finite() -> None:
    for seed in range(40):
        torch.manual_seed(seed)
        layer = layers.OriginalConvNorm2d(1, 8, 3, padding=1)
        assert layer(torch.randn(4, 1, 16, 16)).isfinite().all(), f"seed {seed}"


def made(kind: type[nn.Module], **plain: int) -> Callable[..., nn.Module]:
    """Return a function that makes a layer from plain arguments, changed by a row's options."""
    return lambda **options: kind(**plain | options)


PLAIN = {"in_channels": 4, "out_channels": 4, "kernel_size": 3}
SIZES = [({"kernel_size": 0}, "kernel of 0", "kernel_size.*0"), ({"stride": 0}, "stride of 0", "stride.*0")]
EPSILONS = [({"eps": -1.0}, "eps below zero", "eps.*-1"), ({"eps": NAN}, "eps NaN", "eps.*nan")]
KINDS: list[tuple[type[nn.Module], list[tuple[dict[str, Any], str, str]]]] = [
    (layers.ConvNorm1d, SIZES),
    (layers.ConvNorm3d, SIZES),
    (layers.ConvNormTranspose2d, [*SIZES, *EPSILONS]),
    (layers.OriginalConvNorm2d, [*SIZES, *EPSILONS]),
    (layers.CayleyConv2d, SIZES),
]
CASES = [
    *calls("ConvNorm2d", convnorm, CONSTRUCTED, "kernel of 0", "gain NaN", "stride of 0"),
    *(call("ConvNorm2d.forward", run, what, says, quick=what == "a matrix") for run, what, says in FORWARDS),
    *(case for kind, rows in KINDS for case in calls(kind.__name__, made(kind, **PLAIN), rows)),
    *calls(
        "LinearRowNorm",
        made(layers.LinearRowNorm, in_features=4, out_features=4),
        [
            ({"in_features": 0}, "no inputs", "in_features.*0"),
            ({"eps": NAN}, "eps NaN", "eps.*nan"),
            ({"gain": -1.0}, "gain -1", "gain.*-1"),
        ],
    ),
    *(
        call(name, lambda name=name, o=options: layers.find_normalization(name, o).conv(nn.Conv2d(4, 4, 3)), what, says)
        for name, options, what, says in (
            ("spectral", {"n_power_iterations": 0}, "no iterations", "n_power_iterations"),
            ("spectral", {"eps": NAN}, "eps NaN", "eps"),
            ("spectral_conv", {"n_power_iterations": 0}, "no iterations", "n_power_iterations|iterations|option"),
            ("oni", {"nonsense": 1}, "unknown option", "nonsense"),
            ("convnorm", {"min_inputs": -1}, "negative least inputs", "min_inputs"),
            ("convnorm_2021", {"gain": "lipschitz"}, "options of the layer of 2021", "gain"),
            ("weight", {"eps": 1}, "unknown option", "eps"),
        )
    ),
    *calls(
        "find_normalization",
        layers.find_normalization,
        [
            ({"name": "foo"}, "unknown name", "foo.*choose"),
            ({"name": ""}, "empty name", "''"),
            ({"name": "convnorm+"}, "plus without a second", "''"),
            ({"name": "convnorm+batch+layer"}, "three norms", "batch\\+layer"),
        ],
    ),
    accepted("ConvNorm2d.forward", empty_batch, "empty batch", quick=True),
    accepted("ConvNorm2d.forward", meta, "meta device"),
    accepted("ConvNorm2d.forward", traced, "traced by jit"),
    accepted("ConvNorm2d.forward", vmapped, "mapped by vmap"),
    accepted("ConvNorm2d.forward", unbatched, "unbatched image"),
    accepted("ConvNorm2d.forward", channels_last, "channels last"),
    accepted("ConvNorm2d", to_empty, "made on the meta device, then emptied"),
    accepted("spectral_conv", zero_weights, "weights of zero", quick=True),
    accepted("OriginalConvNorm2d", original_finite, "one channel, 40 initializations"),
]
