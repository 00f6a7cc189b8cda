"""Hostile and plausible-but-wrong inputs: one file of cases for each command, and the parts that run and judge them."""
