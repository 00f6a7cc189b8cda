"""A generator as a program that runs without this package: of `torch.export`, and in ONNX."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.networks import Generator

__all__ = ["check_onnx", "export_onnx", "export_program"]

#: largest difference of a program to the network, of images in [-1, 1]
TOLERANCE, ONNX_TOLERANCE = 1e-5, 1e-4
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")

#: latents, and labels of a conditional generator, to images
Program = Callable[..., Tensor]
#: number of images to example inputs of a program
Inputs = Callable[[int], tuple[Tensor, ...]]


def export_program(network: Generator, path: Path) -> Path:
    """Write a generator as a program of `torch.export`, for any batch size.

    The program maps latents (B, latent_dim), float32, to images (B, C, H, W), float32 in [-1, 1]:
    `torch.export.load(path).module()(latents)`. A conditional generator's also takes labels
    (B,), int64, or vectors (B, condition_size), float32.

    Args:
        network: the generator, in evaluation mode, on the CPU.
        path: file to write.

    Returns:
        The file.

    Raises:
        BadInput: `torch.export` cannot take the network, or its program differs from it by more than 1e-5.
    """
    example = partial(_inputs, network)
    advice = "leave it out with --no-program"
    program = _traced(network, example, advice)
    with atomic_write(path) as part:
        # By handle: torch wants a name that ends in .pt2.
        with part.open("wb") as file, warnings.catch_warnings():
            # torch warns of weights that are views of one another; the comparison below shows that all is well.
            warnings.filterwarnings("ignore", "No complete tensor found")
            torch.export.save(program, file)
        with part.open("rb") as file:
            loaded = torch.export.load(file).module()
        _compare(loaded, network, example, TOLERANCE, advice)
    return path


def check_onnx() -> None:
    """Raise unless the packages of the extra `onnx` are there.

    >>> check_onnx()  # where the extra is installed

    Raises:
        BadInput: names those that are missing.
    """
    if missing := [name for name in ONNX_PACKAGES if find_spec(name) is None]:
        raise BadInput(f"--onnx needs {', '.join(missing)}: python -m pip install {' '.join(ONNX_PACKAGES)}")


def export_onnx(network: Generator, path: Path) -> Path:
    """Write a generator as one ONNX file, for any batch size.

    Its input "latents" is float32 (batch, latent_dim), its output "images" float32 (batch, C, H, W) in [-1, 1]. A
    conditional generator's second input "labels" is int64 (batch,), or float32 (batch, condition_size). The file's
    metadata say so too.

    Args:
        network: the generator, in evaluation mode, on the CPU.
        path: file to write.

    Returns:
        The file.

    Raises:
        BadInput: packages of the extra `onnx` are missing; torch cannot write the network in ONNX; or onnxruntime's
            images differ from the network's by more than 1e-4.
    """
    check_onnx()
    example = partial(_inputs, network)
    program = _traced(network, example, "leave out --onnx")
    names = ["latents", "labels"][: len(example(1))]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that torch gives to the batch's axis
            made = torch.onnx.export(program, input_names=names, output_names=["images"], dynamo=True, verbose=False)
        assert made is not None
    except Exception as error:  # the converter raises errors of any type
        raise BadInput(f"torch cannot write this generator in ONNX ({_reason(error)}); leave out --onnx") from error
    made.model.metadata_props.update(
        latents=f"float32 (batch, {network.latent_dim}), standard normal",
        images="float32 (batch, channels, height, width) in [-1, 1]",
        **({} if network.num_classes is None else {"labels": f"int64 (batch,) from 0 to {network.num_classes - 1}"}),
        **({} if network.condition_size is None else {"labels": f"float32 (batch, {network.condition_size})"}),
    )
    with atomic_write(path) as part:
        made.save(part, external_data=False)
        _compare(_onnx_program(part), network, example, ONNX_TOLERANCE, "leave out --onnx")
    return path


def _traced(network: nn.Module, inputs: Inputs, advice: str) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1)
    example = inputs(2)
    try:
        with torch.no_grad():
            return torch.export.export(network, example, dynamic_shapes=tuple({0: batch} for _ in example))
    except Exception as error:  # the tracer raises errors of any type
        raise BadInput(f"torch.export cannot take this generator ({_reason(error)}); {advice}") from error


def _onnx_program(path: Path) -> Program:
    """Return an ONNX file as a function of tensors, through onnxruntime on the CPU."""
    import onnxruntime  # an extra

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(*inputs: Tensor) -> Tensor:
        names = [each.name for each in session.get_inputs()]
        arrays = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, arrays)[0])

    return run


def _compare(program: Program, network: nn.Module, examples: Inputs, tolerance: float, advice: str) -> None:
    """Raise unless a program gives the network's images, for two batch sizes other than the traced one."""
    for count in (1, 5):
        inputs = examples(count)
        with torch.no_grad():
            difference = float((program(*inputs) - network(*inputs)).abs().max())
        if not difference <= tolerance:
            raise BadInput(f"the exported program differs from the generator by {difference:.1e} in [-1, 1]; {advice}")


def _inputs(network: Generator, count: int) -> tuple[Tensor, ...]:
    rng = torch.Generator().manual_seed(count)
    latents = torch.randn(count, network.latent_dim, generator=rng)
    if network.condition_size is not None:
        return latents, torch.randn(count, network.condition_size, generator=rng)
    return (latents,) if network.num_classes is None else (latents, torch.arange(count) % network.num_classes)


def _reason(error: Exception) -> str:
    """Return the root cause of a converter's error on one line, without colours."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return " ".join(re.sub(r"\x1b\[[\d;]*m", "", str(cause)).split())[:200]
