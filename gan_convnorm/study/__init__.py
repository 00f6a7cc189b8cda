"""Many runs, one question: norms with seeds, n_dis and learning rates, resumable, on one machine or several."""

from gan_convnorm.study.plan import Grid, Plan, Point
from gan_convnorm.study.plan_file import read_plan
from gan_convnorm.study.results import Result

__all__ = ["Grid", "Plan", "Point", "Result", "read_plan"]
