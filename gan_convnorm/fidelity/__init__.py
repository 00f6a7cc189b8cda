"""IS, FID and their kin through torch-fidelity."""

from gan_convnorm.fidelity.evaluate import Evaluator, Scores, check_num_fake
from gan_convnorm.fidelity.extractors import EXTRACTORS, create_extractor, registered_name

__all__ = ["EXTRACTORS", "Evaluator", "Scores", "check_num_fake", "create_extractor", "registered_name"]
