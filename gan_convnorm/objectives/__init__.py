"""Losses, gradient penalties and augmentation, and the objective that joins them."""
