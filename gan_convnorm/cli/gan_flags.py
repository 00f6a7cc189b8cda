"""The flags of fit, validate, test and predict; tests compare names, keys, choices and defaults with the parser's."""

from __future__ import annotations

from gan_convnorm.cli.flag import Flag, FlagTable
from gan_convnorm.cli.run_flags import RESTART, SIZES, THREADS

__all__ = ["GAN_FLAGS"]

RUN = (
    Flag(
        "--data",
        "data",
        "Images: digits, cifar10, cifar100, stl10, svhn, fashion_mnist, celeba, lsun, folder, npz, or your own "
        "module.Class; their arguments are --data.path and so on (docs/data.md).",
        "NAME",
        "digits",
    ),
    *SIZES,
    Flag("--steps", "model.optimization.steps", "Generator steps (G steps) of the whole run.", "N", 1500),
    Flag("--seed", "seed_everything", "Seed of the weights, the batches and the noise.", "N", 0),
    Flag(
        "--out",
        "trainer.default_root_dir",
        "Folder to write to. (default: for a run, a new one in checkpoints/runs; for predict, predict beside the "
        "checkpoint)",
        "FOLDER",
    ),
    *RESTART,
    Flag(
        "--init-from",
        "init_from",
        "Start from the weights of a checkpoint or an exported GAN, where they fit (docs/zoo.md).",
        "FILE",
    ),
)
NETWORKS = (
    Flag(
        "--disc-norm",
        "model.architecture.disc_norm",
        "Normalization of the discriminator: none, batch, sync_batch, layer, group, instance, weight, row, spectral, "
        "spectral_conv, convnorm, convnorm_2021, oni, ocnn, aol, aoc, cayley, lot, soc, two as a+b, or your own "
        "package.module:Name (docs/norms.md).",
        "NAME",
        "spectral",
    ),
    Flag("--gen-norm", "model.architecture.gen_norm", "Normalization of the generator.", "NAME", "batch"),
    Flag("--network", "model.architecture.network", "sngan, dcgan, or your own package.module:Name.", "NAME", "sngan"),
    Flag("--width", "model.architecture.width", "Factor on the channels; 1 is the published network.", "X", 0.25),
    Flag("--attention", "model.architecture.attention", "Side of the feature map that gets self-attention.", "PIXELS"),
    Flag("--conditional", "model.architecture.conditional", "Generate images of a class; the data must be labelled."),
)
OPTIMIZATION = (
    Flag(
        "--loss",
        "model.optimization.loss",
        "hinge, non_saturating, least_squares, wasserstein, relativistic.",
        "NAME",
        "hinge",
    ),
    Flag("--penalty", "model.optimization.penalty", "Gradient penalty: wgan_gp, r1, r2, dragan.", "NAME"),
    Flag(
        "--augmentation",
        "model.optimization.augmentation",
        "Augmentation of real and fake images: color, translation, cutout, flip, joined by commas; or ada "
        "(docs/training.md).",
        "NAMES",
    ),
    Flag(
        "--ada-kimg",
        "model.optimization.ada_kimg",
        "Thousands of real images in which ada's probability can go from 0 to 1.",
        "X",
        500.0,
    ),
    Flag("--gen-lr", "model.optimization.gen_lr", "Adam's first learning rate for the generator.", "X", 0.002),
    Flag("--disc-lr", "model.optimization.disc_lr", "The same for the discriminator.", "X", 0.002),
    Flag("--n-dis", "model.optimization.n_dis", "Discriminator steps for each generator step.", "N", 1),
    Flag(
        "--accumulate",
        "model.optimization.accumulate",
        "Micro-batches of a step, for less memory; their gradients are summed (docs/training.md).",
        "N",
        1,
    ),
)
SCORES = (
    Flag("--eval-every", "trainer.val_check_interval", "Generator steps between evaluations.", "N", 500),
    Flag(
        "--metrics", "scores.metrics", "Scores: isc, fid, kid, prc, with commas (docs/scores.md).", "NAMES", "isc,fid"
    ),
    Flag(
        "--protocol",
        "scores.protocol",
        "Number of fakes and real split: quick (2,000, train), train-50k, test-5k.",
        "NAME",
        "quick",
    ),
    Flag("--num-fake", "scores.num_fake", "Number of generated images, in place of the protocol's.", "N"),
    Flag(
        "--extractor",
        "scores.extractor",
        "Features of the scores: classifier, inception, dinov2, clip, vgg16.",
        "NAME",
        "classifier",
    ),
    Flag(
        "--extractor-weights",
        "scores.extractor_weights",
        "The extractor's weights file. (default: downloaded; the classifier is trained)",
        "FILE",
    ),
    Flag(
        "--operator-norms-every",
        "operator_norms_every",
        "Generator steps between measurements of the discriminator's layers; 0: none (docs/operators.md).",
        "N",
        0,
    ),
)
IMAGES = (
    Flag("--num", "num", "Number of images.", "N", 64),
    Flag("--labels", "labels", "Classes that the images take in turn: all, 3, or 0,1,7.", "CLASSES", "all"),
    Flag("--condition", "condition", "Numbers of the vector that all images take, such as 1,0.5.", "X,X"),
    Flag("--format", "format", "png: one file an image; npz: one file of all.", "NAME", "png"),
    Flag("--truncation", "truncation", "Limit latents to +-X; a smaller X gives less varied images.", "X"),
    Flag("--ema", "ema", "Sample from the averaged weights; false: from the current ones.", "BOOL", True),
    Flag("--interpolate", "interpolate", "Number of interpolations between two images to draw and animate.", "N", 0),
    Flag("--animation", "animation", "Format of the animated interpolation: gif, mp4, none.", "NAME", "gif"),
    Flag(
        "--nearest",
        "nearest",
        "Number of samples to show beside their nearest training images, by pixels and by --extractor's features.",
        "N",
        0,
    ),
    Flag("--project", "project", "Find latents that reproduce N held-out images; 0: none.", "N", 0),
)
MACHINE = (
    Flag("--accelerator", "trainer.accelerator", "auto, cpu, gpu, mps.", "NAME", "auto"),
    Flag("--devices", "trainer.devices", "Number of devices, or of processes on the CPU; -1: all.", "N", 1),
    Flag("--num-nodes", "trainer.num_nodes", "Number of machines.", "N", 1),
    THREADS,
    Flag("--precision", "trainer.precision", "32, bf16-mixed, 16-mixed or 64. (default: 32)", "NAME"),
    Flag("--compile", "model.compile_networks", "Compile both networks with torch.compile."),
    Flag("--detect-anomaly", "trainer.detect_anomaly", "Stop where a gradient becomes NaN; slow."),
)

SCORING = ("--metrics", "--protocol", "--num-fake", "--extractor", "--extractor-weights")
READING = ("--ckpt-path", "--config", "--print-config", "--trust")

GAN_FLAGS = FlagTable(
    word="",
    verbs={
        "fit": "Train a GAN and score it; the verb may be left out.",
        "validate": "Score a checkpoint by its run's protocol (quick: training images).",
        "test": "Score a checkpoint against the test images.",
        "predict": "Generate images from a checkpoint.",
    },
    groups={
        "the run": RUN,
        "images": IMAGES,
        "networks": NETWORKS,
        "optimization": OPTIMIZATION,
        "scores": SCORES,
        "machine": MACHINE,
    },
    shown={
        **dict.fromkeys(
            ("validate", "test"),
            ("--data", "--seed", *READING, *SCORING, "--accelerator", "--threads"),
        ),
        "predict": (
            *("--data", "--seed", "--out", *READING, *(flag.name for flag in IMAGES)),
            *("--extractor", "--extractor-weights", "--accelerator", "--threads"),
        ),
    },
    only={
        "--resume": ("fit",),
        "--ckpt-path": ("validate", "test", "predict"),
        **{flag.name: ("predict",) for flag in IMAGES},
    },
    sections=("trainer", "model", "data", "scores"),
    rare={
        "fit": ("weights_only",),
        "validate": ("weights_only", "verbose"),
        "test": ("weights_only", "verbose"),
        "predict": ("weights_only", "return_predictions"),
    },
)
