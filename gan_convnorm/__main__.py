"""The program as `python -m gan_convnorm`."""

from gan_convnorm.cli import main

main()
