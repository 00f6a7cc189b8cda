"""Settings of Lightning's Trainer that no run can follow, refused before it has a folder."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.accelerators import AcceleratorRegistry
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from gan_convnorm.errors import BadInput, fail
from gan_convnorm.strategies import check_launch_environment

__all__ = ["check_gan_settings", "check_trainer_settings", "has_processes"]

#: CPU processes that are allowed even with fewer cores, to try a run on several processes
FEW_PROCESSES = 8
LENGTH = "a run's length is --steps"
SCORES = "an evaluation is one empty batch, after which the scores are taken"
MANUAL = "the two networks step in turn, which Lightning calls manual optimization"
#: of a GAN's run: setting -> the values that are allowed, and why others are not
GAN_SETTINGS: dict[str, tuple[tuple[Any, ...], str]] = {
    "fast_dev_run": ((False, None), "it keeps no checkpoint and no score; for a short run give --steps 2"),
    "min_epochs": ((None,), LENGTH),
    "max_steps": ((-1, None), LENGTH + " (Lightning counts the steps of both networks)"),
    "min_steps": ((None,), LENGTH),
    "limit_val_batches": ((1.0, None), SCORES),
    "limit_test_batches": ((1.0, None), SCORES),
    "limit_predict_batches": ((1.0, None), "the number of images is --num"),
    "check_val_every_n_epoch": ((None, 1), "the images are one epoch without end; give --eval-every"),
    "accumulate_grad_batches": ((1, None), MANUAL + "; give a larger --batch-size, and --accumulate"),
    "gradient_clip_val": ((None, 0), MANUAL + "; a --penalty or a norm bounds the discriminator"),
    "gradient_clip_algorithm": ((None,), MANUAL),
}


def check_trainer_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that no run can follow, and environment variables that contradict them.

    Variables of a launcher that contradict the settings end in `SystemExit`, and every process prints why: usually only
    the first one prints, and a rank that another job left behind would silence it.

    Args:
        settings: the command line's `trainer`.

    Raises:
        BadInput: a setting, in words that name it.

    >>> check_trainer_settings({"max_epochs": 0})
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: trainer.max_epochs is 0, which leaves nothing to do; ...
    """
    for name in ("fast_dev_run", "barebones"):
        if settings.get(name):
            raise BadInput(f"trainer.{name} is {settings[name]!r}; it keeps no checkpoint, and nothing is left of it")
    if settings.get("enable_checkpointing") is False:
        raise BadInput("trainer.enable_checkpointing is False; checkpoints are what a run is for, leave it out")
    strategy = settings.get("strategy")
    if isinstance(strategy, str) and any(word in strategy for word in ("spawn", "fork", "notebook")):
        raise BadInput(f"--trainer.strategy is {strategy}, which copies this process with all its state; give ddp")
    if settings.get("precision") in ("bf16-true", "16-true"):
        raise BadInput(
            f"trainer.precision is {settings['precision']}, in which small steps and averages round to none; "
            "expected 32-true, 64-true or a mixed one"
        )
    longest = settings.get("max_time")
    if isinstance(longest, str) and longest.strip("0:") == "":
        raise BadInput(f"--trainer.max_time is {longest}, which leaves nothing to do; expected DD:HH:MM:SS")
    every = settings.get("log_every_n_steps")
    if every is not None and every < 1:
        raise BadInput(f"trainer.log_every_n_steps is {every}; expected 1 or more")
    for name in ("limit_train_batches", "limit_val_batches", "limit_test_batches"):
        limit = settings.get(name)
        if limit is not None and not limit > 0:
            raise BadInput(f"trainer.{name} is {limit}, which leaves nothing to do; expected more than 0")
    for name in ("max_epochs", "max_steps"):
        if settings.get(name) == 0:
            raise BadInput(f"trainer.{name} is 0, which leaves nothing to do; expected 1 or more, or -1 for no limit")
    overfit = settings.get("overfit_batches") or 0
    if not (0 <= overfit < math.inf) or overfit != int(overfit):
        raise BadInput(f"trainer.overfit_batches is {overfit}; expected a whole number of batches, 1 or more")
    devices, nodes = settings.get("devices", 1), settings.get("num_nodes", 1)
    if not isinstance(nodes, int) or nodes < 1:
        raise BadInput(f"--num-nodes is {nodes}; expected 1 or more")
    count = _count(devices)
    try:
        check_launch_environment(count, nodes)
    except BadInput as problem:
        fail(str(problem))
    _probe(settings)


def check_gan_settings(settings: Mapping[str, Any]) -> None:
    """Refuse what `check_trainer_settings` does, and settings without a meaning for a GAN, whose images never end.

    Raises:
        BadInput: a setting, in words that name it and what to give in its place.

    >>> check_gan_settings({"val_check_interval": 0})
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: --eval-every is 0; expected a number of generator steps, 1 or more
    """
    interval = settings.get("val_check_interval")
    if isinstance(interval, bool) or not isinstance(interval, int) or interval < 1:
        raise BadInput(f"--eval-every is {interval}; expected a number of generator steps, 1 or more")
    for name, (allowed, reason) in GAN_SETTINGS.items():
        value = settings.get(name)
        # One batch and all batches are 1 and 1.0, which are equal.
        if not any(value == each and isinstance(value, type(each)) for each in allowed):
            raise BadInput(f"trainer.{name} is {value!r}, which a GAN's run does not support: {reason}")
    check_trainer_settings(settings)


def has_processes(settings: Mapping[str, Any]) -> bool:
    """Return True if Lightning would train on several processes with these settings and in this environment.

    >>> has_processes({"accelerator": "cpu", "devices": 1})
    False
    """
    return isinstance(_probe(settings).strategy, DDPStrategy)


def _count(devices: object) -> int | None:
    """Return the number of devices of one machine, or None if the machine decides.

    Raises:
        BadInput: no number of devices.
    """
    if isinstance(devices, (list, tuple)):
        return len(devices)
    text = str(devices).strip()
    if "," in text:
        return len([part for part in text.split(",") if part.strip()])
    if not text.lstrip("-").isdigit():
        if text == "auto":
            return None
        raise BadInput(f"--devices is {devices!r}; expected a number, numbers separated by commas, or auto")
    number = int(text)
    if number < -1 or number == 0:
        raise BadInput(f"--devices is {number}; expected 1 or more, or -1 for all")
    return None if number == -1 else number


def _probe(settings: Mapping[str, Any]) -> Trainer:
    """Return a trainer for these devices, which Lightning makes only if there are such.

    Raises:
        BadInput: there are none, or more processes than this machine can run.
    """
    accelerator, devices = settings.get("accelerator", "auto"), settings.get("devices", 1)
    given = {name: settings[name] for name in ("accelerator", "devices", "num_nodes") if name in settings}
    strategy = settings.get("strategy")
    if isinstance(strategy, str):
        given["strategy"] = strategy
    count = _count(devices)
    gpu = isinstance(accelerator, str) and accelerator.lower() in ("gpu", "cuda", "mps", "tpu", "hpu")
    most = max(FEW_PROCESSES, os.cpu_count() or 1)
    if count is not None and count > most and not gpu and _is_cpu(accelerator):
        raise BadInput(f"--devices is {count}, each a process, and this machine has {os.cpu_count()} cores")
    try:
        return Trainer(**given, logger=False, enable_checkpointing=False, enable_model_summary=False)
    except (MisconfigurationException, ValueError, TypeError, RuntimeError, ImportError) as problem:
        there = [name for name in ("cpu", "cuda", "mps", "tpu") if _is_available(name)]
        # The first sentence: the others list what "here are" lists.
        said = str(problem).splitlines()[0].partition(". ")[0][:120] if str(problem) else type(problem).__name__
        raise BadInput(
            f"accelerator {accelerator}, devices {devices}, strategy {strategy or 'auto'}: {said.rstrip('.')}; "
            f"here are: {', '.join(there)}"
        ) from problem


def _is_cpu(accelerator: object) -> bool:
    return accelerator == "cpu" or (accelerator == "auto" and not any(map(_is_available, ("cuda", "mps", "tpu"))))


def _is_available(accelerator: str) -> bool:
    known = accelerator in AcceleratorRegistry.available_accelerators()
    return known and AcceleratorRegistry[accelerator]["accelerator"].is_available()
