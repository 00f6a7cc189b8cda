"""The callbacks of a GAN's training, in the order in which Lightning calls them."""

from __future__ import annotations

from pathlib import Path

from pytorch_lightning.callbacks import Callback

from gan_convnorm.callbacks import (
    FidelityScores,
    FiniteCheck,
    Interruption,
    OperatorNormLog,
    RunReport,
    SampleGrids,
    StepProgressBar,
)
from gan_convnorm.cli.run_outputs import best_and_last
from gan_convnorm.run_folder import LAST
from gan_convnorm.score_table import SCORES

__all__ = ["fit_callbacks"]


def fit_callbacks(
    folder: Path, scoring: FidelityScores, report: RunReport, *, progress_bar: bool, operator_norms_every: int
) -> list[Callback]:
    """Return what happens during training besides the scores, which are `scoring`'s own.

    A signal is heeded between the batches of an evaluation too.

    >>> from gan_convnorm.run_folder import RunSettings
    >>> folder, scoring = Path("run"), FidelityScores()
    >>> report = RunReport(folder, "", RunSettings("gan", {}), scoring.taken)
    >>> callbacks = fit_callbacks(folder, scoring, report, progress_bar=False, operator_norms_every=0)
    >>> [type(callback).__name__ for callback in callbacks]
    ['FiniteCheck', 'SampleGrids', 'ModelCheckpoint', 'ModelCheckpoint', 'Interruption', 'RunReport']

    Args:
        folder: of the run.
        scoring: the scores, which say by which value the best checkpoint is chosen.
        report: what the run leaves when it ends.
        progress_bar: show one.
        operator_norms_every: generator steps between measurements of the discriminator's layers; 0 for none.
    """
    best = scoring.taken.best
    interruption = Interruption(folder / LAST)
    scoring.between_batches = interruption.check
    return [
        *([StepProgressBar()] if progress_bar else []),
        FiniteCheck(),
        SampleGrids(folder / "samples"),
        *best_and_last(folder, best, SCORES[best].better, save_on_train_epoch_end=False),
        interruption,
        *([OperatorNormLog(folder, operator_norms_every)] if operator_norms_every else []),
        report,
    ]
