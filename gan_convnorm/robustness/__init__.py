"""ConvNorm in classifiers: corruption, label noise, scarce data and attacks.

`python -m gan_convnorm.robustness fit|validate|test` trains and measures; docs/robustness.md says what and how.
"""
