"""Public functions and classes: layers, conversion, networks, the GAN, spectra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bad_input_cases.case import Case, call
from gan_convnorm import layers, networks, spectrum
from gan_convnorm.data import Digits
from gan_convnorm.gan import GAN

__all__ = ["CASES"]

NAN, INF = float("nan"), float("inf")
BATCH = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def convnorm(**options: Any) -> layers.ConvNorm2d:
    return layers.ConvNorm2d(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3, "padding": 1} | options)


def refused(name: str, run: Callable[..., Any], rows: list[tuple[str, dict[str, Any], str]], *quick: str) -> list[Case]:
    return [call(name, what, lambda o=options: run(**o), says, quick=what in quick) for what, options, says in rows]


CONSTRUCTED = [
    ("kernel of 0", {"kernel_size": 0}, "kernel_size.*0"),
    ("kernel below zero", {"kernel_size": -3}, "kernel_size.*-3"),
    ("kernel of three sides", {"kernel_size": (3, 3, 3)}, "kernel_size"),
    ("stride of 0", {"stride": 0}, "stride.*0"),
    ("stride below zero", {"stride": -1}, "stride.*-1"),
    ("dilation of 0", {"dilation": 0}, "dilation.*0"),
    ("padding below zero", {"padding": -1}, "padding.*-1"),
    ("unknown padding", {"padding": "full"}, "padding.*full"),
    ("unknown padding mode", {"padding_mode": "mirror"}, "padding_mode.*mirror|mirror.*padding_mode"),
    ("groups that do not divide", {"groups": 3}, "groups|divisible"),
    ("no groups", {"groups": 0}, "groups"),
    ("eps below zero", {"eps": -1.0}, "eps.*-1"),
    ("eps NaN", {"eps": NAN}, "eps.*nan"),
    ("eps infinite", {"eps": INF}, "eps.*inf"),
    ("gain NaN", {"gain": NAN}, "gain.*nan"),
    ("gain -1", {"gain": -1.0}, "gain.*-1"),
    ("gain infinite", {"gain": INF}, "gain.*inf"),
    ("unknown gain", {"gain": "high"}, "gain.*high"),
    ("cap without a learned gain", {"max_gain": 2.0}, "max_gain"),
    ("cap of zero", {"gain": "learned", "max_gain": 0.0}, "max_gain.*0"),
    ("cap NaN", {"gain": "learned", "max_gain": NAN}, "max_gain.*nan"),
    ("unknown affine", {"affine": "full"}, "affine.*full"),
    ("unknown gradient", {"gradient": "half"}, "gradient.*half"),
    ("unknown stride's way", {"strided": "skip"}, "strided.*skip"),
    ("unknown boundary", {"boundary": "torus"}, "boundary.*torus"),
    ("tolerance below zero", {"tolerance": -1.0}, "tolerance.*-1"),
    ("tolerance of one", {"tolerance": 1.0}, "tolerance.*1"),
    ("tolerance NaN", {"tolerance": NAN}, "tolerance.*nan"),
    ("radius of zero", {"max_radius": 0}, "max_radius.*0"),
    ("linear boundary of a circle", {"boundary": "linear", "padding_mode": "circular"}, "boundary"),
    ("whole numbers", {"dtype": torch.int32}, "int32|dtype|float"),
]
FORWARDS: list[tuple[str, Callable[[], Any], str]] = [
    ("an image below the kernel", lambda: convnorm(padding=0)(BATCH[:, :, :2, :2]), "below the kernel|smaller"),
    ("an image without pixels", lambda: convnorm(padding=0)(BATCH[:, :, :0, :0]), "pixel|below|0"),
    ("other channels", lambda: convnorm()(BATCH[:, :3]), "3.*4|4.*3|channels"),
    ("a matrix", lambda: convnorm()(BATCH[0, 0]), "2-dimensional|dimension|2D|shape"),
    ("a vector", lambda: convnorm()(BATCH[0, 0, 0]), "1-dimensional|dimension|1D|shape"),
    ("five dimensions", lambda: convnorm()(BATCH[None]), "5-dimensional|dimension|5D|shape"),
    ("bytes", lambda: convnorm()(BATCH.byte()), "uint8|Byte|dtype"),
    ("complex numbers", lambda: convnorm()(BATCH.to(torch.complex64)), "complex|dtype"),
    ("another dtype", lambda: convnorm()(BATCH.double()), "double|float64|dtype"),
]


def accepted(function: str, what: str, run: Callable[[], Any], **more: Any) -> Case:
    return call(function, what, run, expect="accepted", **more)


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


def half_converted(hook: Callable[[nn.Conv2d], Any]) -> None:
    """A network with a hook is converted where it can be, or refused and left as it was."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    hook(network[2])
    _, report = layers.convert(network, "convnorm")
    assert "2" in report.left, report
    assert "hook" in report.left["2"] or "parametrized" in report.left["2"], report.left
    network(BATCH[:, :3])


def pruned(conv: nn.Conv2d) -> None:
    from torch.nn.utils import prune

    prune.random_unstructured(conv, "weight", 0.5)


def convert(network: Any, *arguments: Any, **options: Any) -> Any:
    return layers.convert(network, *arguments, **options)


def sequence() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


class BatchNormAct2d(nn.BatchNorm2d):
    """As timm has it."""


def reasons() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), BatchNormAct2d(4), nn.Conv2d(4, 4, 3), nn.SyncBatchNorm(4))
    _, report = layers.convert(network, "convnorm")
    assert "follows no convolution" not in str(report), report
    assert {"1", "3"} <= set(report.left) | {word for text in report.changed.values() for word in text.split()}, report


def load(path: Any, **options: Any) -> Any:
    import gan_convnorm

    return gan_convnorm.load(path, **options)


def filled(value: float) -> nn.Conv2d:
    conv = nn.Conv2d(3, 3, 3, bias=False)
    nn.init.constant_(conv.weight, value)
    return conv


def zero(value: float) -> None:
    assert value == 0, value


CASES = [
    *refused("ConvNorm2d", convnorm, CONSTRUCTED, "kernel of 0", "gain NaN", "stride of 0"),
    *(call("ConvNorm2d.forward", what, run, says, quick=what == "a matrix") for what, run, says in FORWARDS),
    *(
        call(
            kind.__name__,
            what,
            lambda kind=kind, o=options: kind(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3} | o),
            says,
        )
        for kind in (
            layers.ConvNorm1d,
            layers.ConvNorm3d,
            layers.ConvNormTranspose2d,
            layers.OriginalConvNorm2d,
            layers.CayleyConv2d,
        )
        for what, options, says in (
            ("kernel of 0", {"kernel_size": 0}, "kernel_size.*0"),
            ("stride of 0", {"stride": 0}, "stride.*0"),
        )
    ),
    *(
        call(
            kind.__name__,
            what,
            lambda kind=kind, o=options: kind(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3} | o),
            says,
        )
        for kind in (layers.ConvNormTranspose2d, layers.OriginalConvNorm2d)
        for what, options, says in (("eps below zero", {"eps": -1.0}, "eps.*-1"), ("eps NaN", {"eps": NAN}, "eps.*nan"))
    ),
    *(
        call(
            "LinearRowNorm",
            what,
            lambda o=options: layers.LinearRowNorm(**{"in_features": 4, "out_features": 4} | o),
            says,
        )
        for what, options, says in (
            ("no inputs", {"in_features": 0}, "in_features.*0"),
            ("eps NaN", {"eps": NAN}, "eps.*nan"),
            ("gain -1", {"gain": -1.0}, "gain.*-1"),
        )
    ),
    *(
        call(name, what, lambda name=name, o=options: layers.find_norm(name, o).conv(nn.Conv2d(4, 4, 3)), says)
        for name, what, options, says in (
            ("spectral", "no iterations", {"n_power_iterations": 0}, "n_power_iterations"),
            ("spectral", "eps NaN", {"eps": NAN}, "eps"),
            ("spectral_conv", "no iterations", {"n_power_iterations": 0}, "n_power_iterations|iterations|option"),
            ("oni", "unknown option", {"nonsense": 1}, "nonsense"),
            ("convnorm", "negative least inputs", {"min_inputs": -1}, "min_inputs"),
            ("convnorm", "options of the layer of 2021", {"original": True, "gain": "lipschitz"}, "original|gain"),
            ("weight", "unknown option", {"eps": 1}, "eps"),
        )
    ),
    *(
        call("find_norm", what, run, says)
        for what, run, says in (
            ("unknown name", lambda: layers.find_norm("foo"), "foo.*choose"),
            ("empty name", lambda: layers.find_norm(""), "''"),
            ("plus without a second", lambda: layers.find_norm("convnorm+"), "''"),
            ("three norms", lambda: layers.find_norm("convnorm+batch+layer"), "convnorm\\+batch\\+layer|batch\\+layer"),
        )
    ),
    accepted("ConvNorm2d.forward", "empty batch", empty_batch, quick=True),
    accepted("ConvNorm2d.forward", "meta device", meta),
    accepted("ConvNorm2d.forward", "traced by jit", traced),
    accepted("ConvNorm2d.forward", "mapped by vmap", vmapped),
    accepted("ConvNorm2d.forward", "unbatched image", unbatched),
    accepted("ConvNorm2d.forward", "channels last", channels_last),
    accepted("ConvNorm2d", "made on the meta device, then emptied", to_empty),
    accepted("spectral_conv", "weights of zero", zero_weights, quick=True),
    accepted("OriginalConvNorm2d", "one channel, 40 initializations", original_finite),
    *(
        accepted("convert", f"convolution with {what}", lambda hook=hook: half_converted(hook), quick=what == "pruning")
        for what, hook in (
            ("hook-style spectral norm", nn.utils.spectral_norm),
            ("hook-style weight norm", nn.utils.weight_norm),
            ("pruning", pruned),
        )
    ),
    accepted("convert", "subclasses of BatchNorm2d", reasons),
    *(
        call("convert", what, run, says)
        for what, run, says in (
            ("unknown norm", lambda: convert(sequence(), "foo"), "foo"),
            ("unknown option", lambda: convert(sequence(), "convnorm", options={"a": 1}), "a"),
            ("unknown way with BatchNorm", lambda: convert(sequence(), batch_norm="drop"), "batch_norm.*drop"),
            ("pattern that matches nothing", lambda: convert(sequence(), include="x*"), "x\\*"),
            ("all excluded", lambda: convert(sequence(), exclude="*"), "exclude"),
            ("network without convolutions", lambda: convert(nn.Linear(2, 2)), "no Conv2d"),
        )
    ),
    *(
        call("fuse", what, run, says)
        for what, run, says in (
            ("network without ConvNorm", lambda: layers.fuse(sequence(), BATCH[:, :3]), "ConvNorm"),
            ("example of other channels", lambda: layers.fuse(nn.Sequential(convnorm()), BATCH[:, :3]), "channels|3"),
            (
                "tolerance below zero",
                lambda: layers.fuse(nn.Sequential(convnorm()), BATCH, tolerance=-1.0),
                "tolerance",
            ),
            ("tolerance NaN", lambda: layers.fuse(nn.Sequential(convnorm()), BATCH, tolerance=NAN), "tolerance"),
            ("radius of zero", lambda: layers.fuse(nn.Sequential(convnorm()), BATCH, max_radius=0), "max_radius"),
        )
    ),
    *refused(
        "SNGANGenerator",
        networks.SNGANGenerator,
        [
            ("resolution 20", {"resolution": 20}, "20"),
            ("no channels", {"channels": 0}, "channels.*0"),
            ("no noise", {"latent_dim": 0}, "latent_dim.*0"),
            ("width of zero", {"width": 0.0}, "width.*0"),
            ("width NaN", {"width": NAN}, "width.*nan"),
            ("width infinite", {"width": INF}, "width.*inf"),
            ("no class", {"num_classes": 0}, "class"),
            ("attention nowhere", {"attention": 5}, "attention.*5"),
            ("row of another form", {"row": {"bottom": 4}}, "row"),
            ("row of words", {"row": {"bottom": "4", "generator": "abc", "discriminator": []}}, "row"),
            ("row that is a list", {"row": [1, 2]}, "row"),
            (
                "row with channels below zero",
                {"row": {"bottom": 4, "generator": [-1, 8, 8, 8], "discriminator": [[8, True]]}},
                "row|channels|-1",
            ),
        ],
    ),
    *refused(
        "SNGANDiscriminator",
        networks.SNGANDiscriminator,
        [
            ("resolution 20", {"resolution": 20}, "20"),
            ("no channels", {"channels": 0}, "channels.*0"),
            ("width below zero", {"width": -1.0}, "width.*-1"),
            ("unknown norm", {"norm": "foo"}, "foo"),
            ("no class", {"num_classes": -1}, "class"),
        ],
    ),
    call(
        "SNGANGenerator.forward",
        "other noise",
        lambda: networks.SNGANGenerator(32, width=0.05)(torch.randn(2, 5)),
        "5|128|noise",
    ),
    call(
        "SNGANGenerator.forward",
        "labels of no class",
        lambda: networks.SNGANGenerator(32, width=0.05)(torch.randn(2, 128), torch.tensor([0, 1])),
        "label",
    ),
    call(
        "SNGANGenerator.forward",
        "missing labels",
        lambda: networks.SNGANGenerator(32, width=0.05, num_classes=3)(torch.randn(2, 128)),
        "label",
    ),
    call(
        "SNGANGenerator.forward",
        "label 7 of 3",
        lambda: networks.SNGANGenerator(32, width=0.05, num_classes=3)(torch.randn(1, 128), torch.tensor([7])),
        "label.*7|7",
    ),
    *refused(
        "GAN",
        lambda **o: GAN(**{"width": 0.05} | o),
        [
            ("no steps", {"steps": 0}, "steps.*0"),
            ("n_dis of zero", {"n_dis": 0}, "n_dis.*0"),
            ("learning rate below zero", {"gen_lr": -1.0}, "gen_lr.*-1"),
            ("learning rate NaN", {"disc_lr": NAN}, "disc_lr.*nan"),
            ("beta1 of 1.5", {"beta1": 1.5}, "beta1.*1.5"),
            ("beta2 below zero", {"beta2": -0.5}, "beta2.*-0.5"),
            ("decay two", {"ema_decay": 2.0}, "ema_decay.*2"),
            ("decay NaN", {"ema_decay": NAN}, "ema_decay.*nan"),
            ("classes without data's", {"conditional": True}, "class"),
            ("unknown loss", {"loss": "hunge"}, "hunge"),
            ("unknown penalty", {"penalty": "r3"}, "r3"),
            ("penalty's weight below zero", {"penalty": "r1", "penalty_weight": -1.0}, "penalty_weight|weight"),
            ("negative seed", {"seed": -1}, "seed.*-1"),
        ],
        "decay two",
    ),
    *(
        call("GAN.sample", what, lambda o=options: GAN(width=0.05).sample(**{"n": 2} | o), says)
        for what, options, says in (
            ("images below zero", {"n": -1}, "-1"),
            ("labels of no class", {"labels": 3}, "without classes"),
            ("truncation of zero", {"truncation": 0.0}, "truncation"),
            ("truncation NaN", {"truncation": NAN}, "truncation"),
            ("batch of zero", {"batch_size": 0}, "batch_size"),
            ("negative first", {"first": -1}, "first"),
        )
    ),
    call("GAN.decode", "other noise", lambda: GAN(width=0.05).decode(torch.randn(2, 5)), "5|128|noise"),
    call("GAN.decode", "noise that is NaN", lambda: GAN(width=0.05).decode(torch.full((2, 128), NAN)), "NaN|finite"),
    *(
        call("load", what, run, says, needs="trained exported flat")
        for what, run, says in (
            ("no such file", lambda: load("none.ckpt"), "none.ckpt"),
            ("no such export", lambda: load("none.safetensors"), "none.safetensors"),
            ("folder of pictures", lambda: load("flat"), "flat"),
            ("run folder", lambda: load("trained"), "trained"),
            ("empty name", lambda: load(""), "''|no name|checkpoint"),
            ("unknown device", lambda: load("trained/last.ckpt", device="abacus"), "abacus"),
            ("GPU where there is none", lambda: load("trained/last.ckpt", device="cuda"), "cuda"),
        )
    ),
    *refused(
        "Digits",
        Digits,
        [
            ("batch of zero", {"batch_size": 0}, "batch_size.*0"),
        ],
    ),
    *(
        call(name, what, run, says)
        for name, what, run, says in (
            ("operator_norm", "layer without channels", lambda: spectrum.operator_norm(nn.ReLU(), (8, 8)), "ReLU"),
            ("operator_norm", "no size", lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 3)), "input_size"),
            ("operator_norm", "size of zero", lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 3), (0, 8)), "input_size"),
            (
                "operator_norm",
                "size below the kernel",
                lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 5), (2, 2)),
                "input_size|kernel|smaller",
            ),
            (
                "operator_norm",
                "size with channels",
                lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 3), (3, 8, 8)),
                "input_size",
            ),
            (
                "operator_norm",
                "unknown padding",
                lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 3), (8, 8), padding="mirror"),
                "mirror",
            ),
            (
                "operator_norm",
                "tolerance below zero",
                lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 3), (8, 8), tolerance=-1.0),
                "tolerance",
            ),
            (
                "operator_norm",
                "tolerance NaN",
                lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 3), (8, 8), tolerance=NAN),
                "tolerance",
            ),
            (
                "operator_norm",
                "size that is a number",
                lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 3), 8),
                "input_size",
            ),
            ("singular_values", "layer of another kind", lambda: spectrum.singular_values(nn.ReLU(), (8, 8)), "ReLU"),
            (
                "singular_values",
                "stride that does not divide",
                lambda: spectrum.singular_values(nn.Conv2d(3, 3, 3, stride=2), (9, 9)),
                "stride|divi",
            ),
            (
                "singular_values",
                "size of one number",
                lambda: spectrum.singular_values(nn.Conv2d(3, 3, 3), (8,)),
                "input_size",
            ),
            (
                "lipschitz_report",
                "network without layers",
                lambda: spectrum.lipschitz_report(nn.ReLU(), (3, 8, 8)),
                "layer|parameter",
            ),
            (
                "lipschitz_report",
                "size of other channels",
                lambda: spectrum.lipschitz_report(sequence(), (5, 8, 8)),
                "channels|5",
            ),
            (
                "lipschitz_report",
                "size without channels",
                lambda: spectrum.lipschitz_report(sequence(), (8, 8)),
                "input_size|\\(8, 8\\)|channels",
            ),
        )
    ),
    call(
        "operator_norm",
        "weights that are NaN",
        lambda: spectrum.operator_norm(filled(NAN), (8, 8)),
        "NaN|finite",
        expect="clear accepted",
    ),
    accepted("operator_norm", "weights of zero", lambda: zero(spectrum.operator_norm(filled(0.0), (8, 8)))),
    accepted(
        "singular_values", "weights of zero", lambda: zero(float(spectrum.singular_values(filled(0.0), (8, 8)).max()))
    ),
]
