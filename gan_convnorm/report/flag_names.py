"""The words by which a person gives a setting: its short flag where it has one."""

from __future__ import annotations

__all__ = ["flag_name"]

#: keys of config.yaml whose flag is not the key's last word
OTHER_WORDS = {
    "data.class_path": "--data",
    "data": "--data",
    "model.compile_networks": "--compile",
    "seed_everything": "--seed",
    "trainer.default_root_dir": "--out",
    "trainer.val_check_interval": "--eval-every",
}
#: keys whose flag is the last word
LAST_WORD = {
    "data.init_args": ("batch_size", "resolution"),
    "model.architecture": ("disc_norm", "gen_norm", "width", "network", "attention", "conditional"),
    "model.optimization": (
        "steps",
        "gen_lr",
        "disc_lr",
        "n_dis",
        "accumulate",
        "loss",
        "penalty",
        "augmentation",
        "ada_kimg",
    ),
    "scores": ("extractor", "extractor_weights", "metrics", "protocol", "num_fake"),
    "trainer": ("accelerator", "devices", "num_nodes", "precision", "detect_anomaly"),
    "": ("init_from", "operator_norms_every", "threads"),
}


def flag_name(key: str) -> str:
    """Return the shortest flag that sets a key of config.yaml.

    >>> flag_name("model.architecture.disc_norm"), flag_name("model.optimization.beta2")
    ('--disc-norm', '--model.optimization.beta2')
    """
    group, _, word = key.rpartition(".")
    if word in LAST_WORD.get(group, ()):
        return "--" + word.replace("_", "-")
    return OTHER_WORDS.get(key, f"--{key}")
