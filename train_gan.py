"""The program gan-convnorm, without installing the package."""

from gan_convnorm.cli import main

main()
