"""Image data sets as LightningDataModules; ``DATA`` names them for the command line."""

from gan_convnorm.data.arrays import Arrays
from gan_convnorm.data.celeba import CelebA
from gan_convnorm.data.cifar import CIFAR10, CIFAR100
from gan_convnorm.data.digits import Digits
from gan_convnorm.data.fashion_mnist import FashionMNIST
from gan_convnorm.data.folder import Folder
from gan_convnorm.data.image_data import ImageData
from gan_convnorm.data.lsun import LSUN
from gan_convnorm.data.stl10 import STL10
from gan_convnorm.data.svhn import SVHN

DATA: dict[str, type[ImageData]] = {
    "digits": Digits,
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "stl10": STL10,
    "svhn": SVHN,
    "fashion_mnist": FashionMNIST,
    "celeba": CelebA,
    "lsun": LSUN,
    "folder": Folder,
    "npz": Arrays,
}

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "DATA",
    "LSUN",
    "STL10",
    "SVHN",
    "Arrays",
    "CelebA",
    "Digits",
    "FashionMNIST",
    "Folder",
    "ImageData",
]
