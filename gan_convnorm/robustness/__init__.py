"""ConvNorm in classifiers: corruption, label noise, scarce data and attacks.

`python train_gan.py classify fit|validate|test` trains and measures; docs/robustness.md says what and how.
"""
