"""The modules that every case needs, imported once before the first is forked."""

from __future__ import annotations

import importlib

from gan_convnorm.fidelity import classifier

__all__ = ["preload"]

#: imported late by the package, and slow
LATE = (
    "gan_convnorm.cli.gan",
    "gan_convnorm.cli.score",
    "gan_convnorm.cli.export",
    "gan_convnorm.cli.compare",
    "gan_convnorm.cli.study",
    "gan_convnorm.cli.classify",
    "gan_convnorm.gan.loading",
    "gan_convnorm.study.queue",
    "gan_convnorm.report.comparison",
    "matplotlib.pyplot",
    "rich.table",
    "safetensors.torch",
    "sklearn.datasets",
    "torch.utils.tensorboard",
    "torch_fidelity",
    "torchvision.transforms",
)


def preload() -> None:
    """Import all that the cases use; train the extractor briefly, for no case asks what its scores mean."""
    for name in LATE:
        importlib.import_module(name)
    classifier.EPOCHS = 1
