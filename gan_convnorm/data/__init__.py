"""Image data sets as LightningDataModules; ``DATA`` names them for the command line."""

from gan_convnorm.data.digits import Digits
from gan_convnorm.data.image_data import ImageData

DATA: dict[str, type[ImageData]] = {"digits": Digits}

__all__ = ["DATA", "Digits", "ImageData"]
