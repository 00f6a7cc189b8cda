"""Many runs, one question: norms with seeds, n_dis and learning rates, resumable, on one machine or several."""

from gan_convnorm.study.definition import Grid, StudyDefinition, StudyRun
from gan_convnorm.study.definition_file import read_study
from gan_convnorm.study.results import Result

__all__ = ["Grid", "Result", "StudyDefinition", "StudyRun", "read_study"]
