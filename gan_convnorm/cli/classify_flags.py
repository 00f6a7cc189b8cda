"""The flags of classify fit, validate and test; tests compare names, keys and defaults with the parser's."""

from __future__ import annotations

from gan_convnorm.cli.flag import Flag, FlagTable
from gan_convnorm.cli.run_flags import RESTART, SIZES, THREADS

__all__ = ["CLASSIFY_FLAGS"]

RUN = (
    Flag(
        "--data",
        "data",
        "Labelled images: digits, cifar10, cifar100, stl10, svhn, fashion_mnist, celeba, lsun, folder, npz, or your "
        "own module.Class; their arguments are --data.path and so on (docs/data.md).",
        "NAME",
        "digits",
    ),
    *SIZES,
    Flag("--epochs", "trainer.max_epochs", "Passes over the training images.", "N", 12),
    Flag("--seed", "seed_everything", "Seed of the weights, the batches and the split.", "N", 0),
    Flag(
        "--out",
        "trainer.default_root_dir",
        "Folder of the run. (default: a new one in checkpoints/runs/robustness)",
        "FOLDER",
    ),
    *RESTART,
)
CLASSIFIER = (
    Flag(
        "--norm",
        "model.norm",
        "Normalization: none, batch, spectral, convnorm and others of docs/norms.md, or two as a+b.",
        "NAME",
        "batch",
    ),
    Flag(
        "--arch",
        "model.arch",
        "resnet8, resnet20, resnet56, plain20, plain56, resnet18, resnet34, resnet50 or torchvision.NAME.",
        "NAME",
        "resnet8",
    ),
    Flag("--width", "model.width", "Factor on the network's channels.", "X", 1.0),
    Flag("--lr", "model.lr", "SGD's first learning rate.", "X", 0.1),
    Flag(
        "--adversarial",
        "model.adversarial",
        "Images to train on: none (clean), pgd (adversarial), free (shares each gradient with the weights).",
        "NAME",
        "none",
    ),
)
SPLIT = (
    Flag("--fraction", "split.fraction", "Share of the training images that is used, of every class.", "X", 1.0),
    Flag("--label-noise", "split.label_noise", "Rate of wrong labels among them.", "X", 0.0),
    Flag(
        "--label-noise-kind",
        "split.label_noise_kind",
        "symmetric, symmetric-any (may draw the true class), asymmetric.",
        "NAME",
        "symmetric",
    ),
)
EVALUATION = (
    Flag("--corruptions", "evaluation.corruptions", "all, none, or names joined by commas.", "NAMES", "all"),
    Flag(
        "--corruption-folder",
        "evaluation.corruption_folder",
        "Folder of corrupted images as .npy files (CIFAR-10-C). (default: computed here)",
        "FOLDER",
    ),
    Flag(
        "--attacks",
        "evaluation.attacks",
        "none, or of fgsm, pgd, spsa, square, autoattack, joined by commas.",
        "NAMES",
        "fgsm,pgd",
    ),
    Flag(
        "--eps",
        "evaluation.attack_eps",
        "Largest change of a pixel in an attack of the evaluation, in 255ths (in training: --model.eps).",
        "X",
        8,
    ),
    Flag(
        "--certified-radius",
        "evaluation.certified_radius",
        "Also certify accuracy: no change of up to this Euclidean length alters a class (pixels are 0 to 1).",
        "R",
    ),
    Flag(
        "--num-images",
        "evaluation.num_images",
        "Corrupt and attack N test images, drawn by the seed; null: all. (default: the checkpoint's, or all)",
        "N",
    ),
    Flag("--json", "evaluation.json", "File for the results; an earlier evaluation's is replaced.", "FILE"),
    Flag("--overwrite", "evaluation.overwrite", "Let --json replace any file."),
)
MACHINE = (THREADS,)

READING = ("--data", "--seed", "--ckpt-path", "--config", "--print-config", "--trust", "--threads")

CLASSIFY_FLAGS = FlagTable(
    word="classify",
    verbs={
        "fit": "Train a classifier and measure its robustness; the verb may be left out.",
        "validate": "Measure a checkpoint's accuracy on the validation images.",
        "test": "Measure a checkpoint's robustness on the test images.",
    },
    groups={
        "the run": RUN,
        "classifier": CLASSIFIER,
        "training images": SPLIT,
        "evaluation": EVALUATION,
        "machine": MACHINE,
    },
    shown={
        "validate": tuple(name for name in READING if name != "--seed"),
        "test": (*READING, *(flag.name for flag in EVALUATION)),
    },
    only={"--resume": ("fit",), "--ckpt-path": ("validate", "test")},
    sections=("trainer", "model", "data", "split", "evaluation"),
    rare={
        "fit": ("weights_only",),
        "validate": ("weights_only", "verbose"),
        "test": ("weights_only", "verbose"),
    },
)
