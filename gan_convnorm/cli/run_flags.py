"""The flags that every training program has."""

from __future__ import annotations

from gan_convnorm.cli.flag import Flag

__all__ = ["RESTART", "SIZES", "THREADS"]

SIZES = (
    Flag(
        "--resolution",
        "data.init_args.resolution",
        "Side of the images, or HEIGHTxWIDTH. (default: the data set's)",
        "PIXELS",
    ),
    Flag("--batch-size", "data.init_args.batch_size", "Images in a batch. (default: the data set's)", "N"),
)
RESTART = (
    Flag(
        "--resume",
        "ckpt_path",
        "Checkpoint to go on from, with its run's settings; last: of the newest run, or of --out.",
        "PATH",
    ),
    Flag("--ckpt-path", "ckpt_path", "Checkpoint to read, with its run's settings, such as RUN/best.ckpt.", "PATH"),
    Flag(
        "--config",
        "config",
        "YAML file of settings, such as a run's config.yaml; short: -c. Flags after it override it.",
        "FILE",
    ),
    Flag("--print-config", "print_config", "Print all settings as YAML, and do nothing else."),
    Flag("--trust", "trust", "Module of your own that the checkpoint may name; it is imported.", "MODULE"),
)
THREADS = Flag("--threads", "threads", "CPU threads of each process. (default: one a core)", "N")
