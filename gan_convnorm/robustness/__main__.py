from gan_convnorm.robustness.cli import main

main()
