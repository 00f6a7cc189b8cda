"""Scoring and sampling a valid run, with invalid words or with its data moved."""

from __future__ import annotations

import shutil
from pathlib import Path

from bad_input_cases.case import command
from bad_input_cases.checkpoints import VALIDATE

__all__ = ["CASES"]

CASES = [
    command("validate", "--ckpt_path of-photos/last.ckpt", "data folder that is gone", "photos"),
    command(
        "validate",
        "--ckpt_path of-photos/last.ckpt --data.path moved",
        "data folder that was moved, named",
        expect="accepted",
        prints="FID",
        prepare=lambda: shutil.move("photos", "moved"),
        needs="photos",
        quick=True,
    ),
    command(
        "predict",
        "--ckpt_path of-photos/last.ckpt --out made",
        "data folder that is gone",
        expect="accepted",
        holds=lambda: len(list(Path("made/images").rglob("*.png"))) == 64,
        writes="made*",
        quick=True,
    ),
    command(
        "predict",
        "--ckpt_path of-photos/last.ckpt --out made --nearest 2",
        "data folder that neighbours need",
        "photos",
    ),
    command(
        "fit",
        "--resume of-photos/last.ckpt --steps 4 --data.path moved --out again",
        "data folder that was moved, named for a resume",
        expect="accepted",
        prepare=lambda: shutil.move("photos", "moved"),
        needs="photos",
        writes="again*",
    ),
    command(
        "validate",
        "--config trained/config.yaml --ckpt_path trained/last.ckpt",
        "run's own config",
        expect="accepted",
        prints="FID",
        quick=True,
    ),
    command(
        "test",
        "--config trained/config.yaml --ckpt_path trained/last.ckpt",
        "run's own config",
        expect="accepted",
        prints="FID",
    ),
    command(
        "predict",
        "--config trained/config.yaml --ckpt_path trained/last.ckpt --out made",
        "run's own config",
        expect="accepted",
        writes="made*",
    ),
    command("validate", f"{VALIDATE} --width 0.5", "another width than the weights'", "width"),
    command("validate", f"{VALIDATE} --data of-nothing", "unknown data", "of-nothing"),
    command("validate", f"{VALIDATE} --num-fake 0", "no fakes", "num.fake|20"),
    command("validate", f"{VALIDATE} --devices 0", "no device", "devices"),
    command("predict", f"{VALIDATE} --num 0 --out made", "no images", "num"),
    command("predict", f"{VALIDATE} --num -5 --out made", "images below zero", "num"),
    command("predict", f"{VALIDATE} --labels 3 --out made", "labels of a GAN without", "without classes"),
    command("predict", f"{VALIDATE} --truncation 0 --out made", "truncation of zero", "truncation"),
    command("predict", f"{VALIDATE} --truncation nan --out made", "truncation NaN", "truncation"),
    command("predict", f"{VALIDATE} --format jpg --out made", "unknown format", "format.*png"),
    command(
        "predict", f"{VALIDATE} --animation webm --interpolate 2 --out made", "unknown animation", "animation.*gif"
    ),
    command("predict", f"{VALIDATE} --interpolate -1 --out made", "interpolation below zero", "interpolate"),
    command("predict", f"{VALIDATE} --nearest -1 --out made", "neighbours below zero", "nearest"),
    command(
        "predict",
        "--ckpt_path of-photos/last.ckpt --labels 7 --out made",
        "label of another class",
        "labels.*7",
        needs="photos",
    ),
    command(
        "predict",
        "--ckpt_path of-photos/last.ckpt --labels a,b --out made",
        "labels of words",
        "labels",
        needs="photos",
    ),
    command("predict", f"{VALIDATE} --out flat", "folder with pictures", "flat.*not empty"),
    command("predict", f"{VALIDATE} --out trained", "its own run folder", "trained.*not empty"),
    command("predict", f"{VALIDATE} --out plan.yaml", "folder that is a file", "plan.yaml"),
]
