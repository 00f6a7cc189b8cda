from gan_convnorm.cli import main

main()
