"""The files of a run, never lost or overwritten: its folder, checkpoints, metrics and record."""

from gan_convnorm.run_folder.checkpoint_content import (
    LAST,
    PREVIOUS,
    check_restorable,
    check_resumable,
    read_checkpoint,
)
from gan_convnorm.run_folder.checkpoint_files import CheckpointFiles, check_newest, last_checkpoint
from gan_convnorm.run_folder.claim import RUNS, claim_folder
from gan_convnorm.run_folder.from_checkpoint import FromCheckpoint
from gan_convnorm.run_folder.lock import LOCK, check_folder, folder_locks, lock_folder
from gan_convnorm.run_folder.metrics_file import MetricsFile, read_rows
from gan_convnorm.run_folder.optimizer_states import check_optimizer_states
from gan_convnorm.run_folder.record import RunRecord
from gan_convnorm.run_folder.restarted_run import restarted_folder
from gan_convnorm.run_folder.resume_advice import repeat_advice, resume_advice
from gan_convnorm.run_folder.run_settings import RUN, RunSettings
from gan_convnorm.run_folder.slurm_job import requeue_in_words, slurm_job

__all__ = [
    "LAST",
    "LOCK",
    "PREVIOUS",
    "RUN",
    "RUNS",
    "CheckpointFiles",
    "FromCheckpoint",
    "MetricsFile",
    "RunRecord",
    "RunSettings",
    "check_folder",
    "check_newest",
    "check_optimizer_states",
    "check_restorable",
    "check_resumable",
    "claim_folder",
    "folder_locks",
    "last_checkpoint",
    "lock_folder",
    "read_checkpoint",
    "read_rows",
    "repeat_advice",
    "requeue_in_words",
    "restarted_folder",
    "resume_advice",
    "slurm_job",
]
