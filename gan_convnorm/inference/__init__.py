"""Pictures of a trained generator: interpolations, animations, nearest training images; the options of `predict`."""

from gan_convnorm.inference.interpolation import interpolate, slerp
from gan_convnorm.inference.neighbours import Neighbours, find_neighbours
from gan_convnorm.inference.prediction import Prediction

__all__ = ["Neighbours", "Prediction", "find_neighbours", "interpolate", "slerp"]
