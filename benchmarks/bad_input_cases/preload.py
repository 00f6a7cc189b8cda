"""What every case would import for itself, imported once before the first is forked."""

from __future__ import annotations

import importlib

from bad_input_cases.case import MODULES

__all__ = ["preload"]

#: imported late by the package, and slow
LATE = (
    "gan_convnorm.pretrained",
    "gan_convnorm.study.queue",
    "gan_convnorm.compare.page",
    "matplotlib.pyplot",
    "rich.table",
    "safetensors.torch",
    "sklearn.datasets",
    "torch.utils.tensorboard",
    "torch_fidelity",
    "torchvision.transforms",
)


def preload() -> None:
    """Import all that the cases use."""
    for name in (*MODULES.values(), *LATE):
        importlib.import_module(name)
