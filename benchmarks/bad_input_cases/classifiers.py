"""The classifiers' command line, their attacks and corruptions."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bad_input_cases.case import Case, call, command, touch
from bad_input_cases.checkpoint_edits import bytes_changed, edited, without

__all__ = ["CASES"]

robustness = partial(command, "robustness")
LAST = Path("classifier/last.ckpt")
TEST = "test --ckpt_path classifier/last.ckpt"

#: words after fit, what is wrong, what the line must say
REFUSED = [
    ("--epochs 0", "no epochs", "epochs.*0"),
    ("--epochs -1", "endless epochs", "epochs.*-1"),
    ("--epochs abc", "epochs of a word", "epochs.*abc"),
    ("--lr 0", "learning rate of zero", "lr.*0"),
    ("--lr -1", "learning rate below zero", "lr.*-1"),
    ("--lr nan", "learning rate NaN", "lr.*nan"),
    ("--model.momentum -1", "momentum below zero", "momentum.*-1"),
    ("--model.weight_decay -1", "weight decay below zero", "weight_decay.*-1"),
    ("--model.milestones '[-1]'", "milestone before the start", "milestones"),
    ("--model.crop -1", "crop below zero", "crop.*-1"),
    ("--model.crop 100", "crop larger than the image", "crop.*100"),
    ("--width 0", "width of zero", "width.*0"),
    ("--width nan", "width NaN", "width.*nan"),
    ("--arch resnet7", "unknown network", "resnet7.*choose"),
    ("--arch torchvision.nonsense", "unknown network of torchvision", "nonsense"),
    ("--norm foo", "unknown norm", "foo.*choose one of"),
    ("--norm convnorm --model.norm_options '{epsilon: 1}'", "unknown option", "epsilon"),
    ("--adversarial fgsm", "unknown adversarial training", "fgsm|adversarial"),
    ("--adversarial pgd --model.eps -1", "ball below zero", "eps.*-1"),
    ("--adversarial pgd --model.attack_steps 0", "attack of no steps", "attack_steps.*0"),
    ("--adversarial free --model.replays 0", "no replays", "replays.*0"),
    ("--fraction 0", "nothing to train on", "fraction.*0"),
    ("--fraction 2", "twice the data", "fraction.*2"),
    ("--fraction nan", "NaN of the data", "fraction.*nan"),
    ("--label-noise 1.5", "noise above one", "noise.*1.5"),
    ("--label-noise -0.1", "noise below zero", "noise.*-0.1"),
    ("--label-noise-kind nonsense", "unknown noise", "nonsense|kind"),
    ("--split.validation 0", "nothing to validate on", "validation.*0"),
    ("--split.validation 1", "all to validate on", "validation.*1"),
    ("--corruptions rain", "unknown corruption", "rain.*choose"),
    ("--corruptions ''", "no corruption", "corruptions"),
    ("--attacks nonsense", "unknown attack", "nonsense.*choose"),
    ("--eps -1", "attack's ball below zero", "eps.*-1"),
    ("--eps nan", "attack's ball NaN", "eps.*nan"),
    ("--eps 300", "attack's ball larger than the cube", "eps.*300"),
    ("--evaluation.attack_step 0", "step of zero", "attack_step.*0"),
    ("--evaluation.attack_steps 0", "no steps of the attack", "attack_steps.*0"),
    ("--evaluation.queries 0", "no queries", "queries.*0"),
    ("--num-images 0", "no images to attack", "num_images.*0"),
    ("--json none/a.json", "JSON into no folder", "none"),
    ("--json ''", "JSON of no name", "json"),
    ("--corruption-folder none", "corruptions that are not there", "none"),
    ("--corruption-folder flat", "folder of pictures", "flat"),
    (
        "--data folder --data.path flat --resolution 16",
        "data without labels",
        "labels",
    ),
    ("--data nope", "unknown data", "nope"),
    ("--batch-size 0", "batch of zero", "batch_size.*0"),
    ("--batch-size 100000", "batch larger than the data", "batch_size"),
    ("--resolution 0", "no pixels", "resolution.*0"),
    ("--seed -1", "negative seed", "seed.*-1"),
    ("--accelerator gpu", "unknown flag of accelerators", "accelerator|gpu"),
    ("--trainer.accelerator gpu", "GPU where there is none", "gpu|accelerator"),
    ("--trainer.devices 0", "no device", "devices.*0"),
    ("--trainer.gradient_clip_val -1", "clipping below zero", "gradient_clip_val.*-1"),
    (
        "--trainer.log_every_n_steps 0",
        "never logged",
        "log_every_n_steps.*0",
    ),
    ("--trainer.limit_train_batches 0", "no batches", "limit_train_batches"),
    ("--trainer.max_steps 0", "no steps of Lightning's", "max_steps"),
    ("--trainer.limit_test_batches 0", "evaluation switched off", "limit_test_batches"),
    ("--trainer.limit_val_batches 0", "validation switched off", "limit_val_batches"),
    ("--trainer.fast_dev_run true", "a run that saves nothing", "fast_dev_run"),
    ("--label_noise 0.1", "flag with an underscore", "--label-noise"),
    ("--nonsense", "unknown flag", "--nonsense"),
    ("--resume none.ckpt", "checkpoint that is not there", "none.ckpt"),
    ("--resume last", "last of no run", "last.ckpt"),
    ("--resume ''", "checkpoint of no name", "--resume|ckpt_path"),
]


def corrupted(labels: Any, **named: Any) -> Any:
    def prepare() -> None:
        Path("corrupted").mkdir()
        np.save("corrupted/labels.npy", labels)
        for name, value in named.items():
            np.save(f"corrupted/{name}.npy", value)

    return prepare


ZEROS = np.zeros((20, 8, 8, 1), dtype=np.uint8)
LABELS = np.zeros(20, dtype=np.int64)
FOLDERS: list[tuple[str, Any]] = [
    ("without labels", lambda: (Path("corrupted").mkdir(), np.save("corrupted/fog.npy", ZEROS))),
    ("with labels of words", corrupted(np.array(["a"] * 20), fog=ZEROS)),
    ("with labels of floats", corrupted(np.full(20, 0.5), fog=ZEROS)),
    ("with labels of other classes", corrupted(LABELS + 77, fog=ZEROS)),
    ("with negative labels", corrupted(LABELS - 1, fog=ZEROS)),
    ("with 21 labels", corrupted(np.zeros(21, dtype=np.int64), fog=ZEROS)),
    ("of floats", corrupted(LABELS, fog=ZEROS / 2)),
    ("of other sizes", corrupted(LABELS, fog=np.zeros((20, 9, 9, 1), dtype=np.uint8))),
    ("of other channels", corrupted(LABELS, fog=np.zeros((20, 8, 8, 3), dtype=np.uint8))),
    ("of no image", corrupted(LABELS[:0], fog=ZEROS[:0])),
    ("of text", lambda: (corrupted(LABELS)(), touch("corrupted/fog.npy", "text"))),
]


def attack(name: str, what: str, run: Any, says: str = "", **more: Any) -> Case:
    return call(name, what, run, says, **more)


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3)).eval()


def images(value: float = 0.5) -> torch.Tensor:
    return torch.full((2, 3, 4, 4), value)


TRUTH = torch.tensor([0, 1])


def attacks() -> list[Case]:
    from gan_convnorm.robustness.attacks import fgsm, pgd, spsa, square

    random = torch.Generator().manual_seed(0)
    found = []
    for name, run in {
        "fgsm": lambda **o: fgsm(model(), **{"images": images(), "labels": TRUTH, "eps": 0.03} | o),
        "pgd": lambda **o: pgd(
            model(), **{"images": images(), "labels": TRUTH, "eps": 0.03, "step": 0.01, "steps": 2} | o
        ),
        "spsa": lambda **o: spsa(
            model(),
            **{"images": images(), "labels": TRUTH, "eps": 0.03, "steps": 2, "samples": 2, "random": random} | o,
        ),
        "square": lambda **o: square(
            model(), **{"images": images(), "labels": TRUTH, "eps": 0.03, "queries": 3, "random": random} | o
        ),
    }.items():
        for what, options, says in (
            ("normalized images", {"images": images(-1.5)}, r"\[0, 1\]|0 to 1"),
            ("images of bytes", {"images": images().mul(255).byte()}, "uint8|float"),
            ("images up to 255", {"images": images(200.0)}, r"\[0, 1\]|0 to 1"),
            ("images that are NaN", {"images": images(float("nan"))}, "NaN|finite|0, 1"),
            ("negative eps", {"eps": -0.1}, "eps"),
            ("eps that is NaN", {"eps": float("nan")}, "eps"),
            ("labels of another length", {"labels": torch.tensor([0])}, "labels|target"),
            ("labels of floats", {"labels": torch.tensor([0.0, 1.0])}, "labels|dtype"),
            ("labels that are no class", {"labels": torch.tensor([0, 7])}, "labels|target 7|index 7"),
        ):
            found.append(
                attack(name, what, lambda run=run, options=options: run(**options), says, quick=what.startswith("norm"))
            )
    found.append(attack("pgd", "no steps", lambda: pgd(model(), images(), TRUTH, eps=0.1, step=0.1, steps=0), "steps"))
    found.append(
        attack("pgd", "step below zero", lambda: pgd(model(), images(), TRUTH, eps=0.1, step=-1.0, steps=2), "step")
    )

    def flat() -> None:
        import warnings

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fgsm(lambda x: x.flatten(1)[:, :3] * 0, images(), TRUTH, eps=0.1)
        assert any("zero" in str(warning.message) for warning in caught), "no warning of a gradient that is zero"

    return [*found, attack("fgsm", "gradient of zero", flat, expect="accepted")]


def corruptions() -> list[Case]:
    from gan_convnorm.robustness.corruptions import corrupt

    pixels = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    return [
        call("corrupt", what, run, says)
        for what, run, says in (
            ("unknown name", lambda: corrupt(pixels, "rain", 1), "rain"),
            ("severity 0", lambda: corrupt(pixels, "fog", 0), "severity.*0"),
            ("severity 6", lambda: corrupt(pixels, "fog", 6), "severity.*6"),
            ("severity 1.5", lambda: corrupt(pixels, "fog", 1.5), "severity.*1.5"),  # type: ignore[arg-type]
            ("floats", lambda: corrupt(pixels.float(), "fog", 1), "float|uint8"),
            ("one image", lambda: corrupt(pixels[0], "fog", 1), "shape|\\(3, 8, 8\\)"),
            ("two channels", lambda: corrupt(pixels[:, :2], "fog", 1), "2"),
            ("seed below zero", lambda: corrupt(pixels, "fog", 1, seed=-1), "seed"),
        )
    ]


CASES = [
    robustness(
        "fit", "nothing is wrong", expect="accepted", prints="clean: accuracy", writes="checkpoints*", quick=True
    ),
    *(
        robustness(f"fit {words}", what, says, quick=what in ("learning rate of zero", "no device"))
        for words, what, says in REFUSED
    ),
    *(
        robustness("fit --corruption-folder corrupted", f"corrupted images {what}", "corrupted", prepare=prepare)
        for what, prepare in FOLDERS
    ),
    *(
        robustness(
            f"{TEST} --json {path}", f"JSON onto {what}", f"{path}.*--overwrite|--overwrite.*{path}", prepare=prepare
        )
        for path, what, prepare in (
            ("classifier/last.ckpt", "the checkpoint", None),
            ("notes.json", "somebody's JSON", lambda: touch("notes.json")),
        )
    ),
    robustness("predict", "word that is not known", "predict"),
    robustness("test", "no checkpoint", "--ckpt_path"),
    robustness("test --ckpt_path none.ckpt", "checkpoint that is not there, to test", "none.ckpt"),
    robustness("test --ckpt_path plan.yaml", "checkpoint that is text", "plan.yaml"),
    robustness(TEST, "damaged checkpoint", "last.ckpt", prepare=bytes_changed(LAST)),
    *(
        robustness(TEST, f"checkpoint without {key}", "last.ckpt", prepare=without(key, LAST))
        for key in ("state_dict", "run")
    ),
    robustness(
        TEST,
        "weights that are NaN",
        "NaN|infinite",
        prepare=edited(
            lambda c: [t.fill_(float("nan")) for t in c["state_dict"].values() if t.is_floating_point()] and None, LAST
        ),
    ),
    robustness(
        "fit --resume classifier/last.ckpt --epochs 1 --out again",
        "finished run that is resumed",
        "epoch|done|finished|nothing",
        expect="clear accepted",
        writes="again*",
        prints="epoch|done|finished|nothing",
    ),
    robustness("fit --out flat", "run folder with pictures", "flat.*not empty"),
    *attacks(),
    *corruptions(),
]
