"""Runs side by side on one page; reads run folders, and nothing else of this package."""

from gan_convnorm.compare.page import write_page
from gan_convnorm.compare.runs import Group, Run, group_runs, read_runs

__all__ = ["Group", "Run", "group_runs", "read_runs", "write_page"]
