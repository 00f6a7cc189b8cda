"""What a trained generator can show: one question per file; ``Prediction`` is the command's options."""

from gan_convnorm.inference.interpolation import interpolate, slerp
from gan_convnorm.inference.neighbours import Neighbours, find_neighbours
from gan_convnorm.inference.prediction import Prediction

__all__ = ["Neighbours", "Prediction", "find_neighbours", "interpolate", "slerp"]
