"""What a run leaves on disk, and how it is never lost or overwritten: the folder, checkpoints, metrics, the record."""

from gan_convnorm.run_folder.checkpoint_files import (
    LAST,
    PREVIOUS,
    CheckpointFiles,
    check_resumable,
    last_checkpoint,
    read_checkpoint,
)
from gan_convnorm.run_folder.claim import RUNS, claim_folder
from gan_convnorm.run_folder.from_checkpoint import FromCheckpoint
from gan_convnorm.run_folder.metrics_file import MetricsFile, read_rows
from gan_convnorm.run_folder.record import RunRecord
from gan_convnorm.run_folder.run_settings import RUN, RunSettings

__all__ = [
    "LAST",
    "PREVIOUS",
    "RUN",
    "RUNS",
    "CheckpointFiles",
    "FromCheckpoint",
    "MetricsFile",
    "RunRecord",
    "RunSettings",
    "check_resumable",
    "claim_folder",
    "last_checkpoint",
    "read_checkpoint",
    "read_rows",
]
