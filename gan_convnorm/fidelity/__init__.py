"""IS, FID and their kin through torch-fidelity."""

from gan_convnorm.fidelity.evaluate import Evaluator, Scores
from gan_convnorm.fidelity.extractors import EXTRACTORS, create_extractor

__all__ = ["EXTRACTORS", "Evaluator", "Scores", "create_extractor"]
