"""Callbacks: scores, samples, averages and checks for any LightningModule, and reports of this package's runs."""

from gan_convnorm.callbacks.discriminator_log import DiscriminatorLog
from gan_convnorm.callbacks.fidelity_scores import FidelityScores
from gan_convnorm.callbacks.finite_check import FiniteCheck
from gan_convnorm.callbacks.image_writer import ImageWriter
from gan_convnorm.callbacks.interruption import Interruption
from gan_convnorm.callbacks.network_ema import NetworkEMA
from gan_convnorm.callbacks.operator_norm_log import OperatorNormLog
from gan_convnorm.callbacks.progress import StepProgressBar
from gan_convnorm.callbacks.run_report import RunReport
from gan_convnorm.callbacks.sample_grids import SampleGrids
from gan_convnorm.callbacks.tensorboard_curves import TensorBoardCurves

__all__ = [
    "DiscriminatorLog",
    "FidelityScores",
    "FiniteCheck",
    "ImageWriter",
    "Interruption",
    "NetworkEMA",
    "OperatorNormLog",
    "RunReport",
    "SampleGrids",
    "StepProgressBar",
    "TensorBoardCurves",
]
