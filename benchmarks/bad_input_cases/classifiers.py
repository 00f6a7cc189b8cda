"""The classifiers' command line, their attacks and corruptions."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bad_input_cases.case import command, touch
from bad_input_cases.checkpoint_edits import bytes_changed, edited, without

__all__ = ["CASES"]

robustness = partial(command, "classify")
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
    ("--arch torchvision.nonsense --width 1", "unknown network of torchvision", "nonsense"),
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


CASES = [
    robustness(
        "fit", "nothing is wrong", expect="accepted", prints="clean: accuracy", writes="checkpoints*", quick=True
    ),
    *(
        robustness(f"fit {words}", what, says, quick=what in ("learning rate of zero", "no device"))
        for words, what, says in REFUSED
    ),
    robustness(
        "fit --label_noise 0.1",
        "underscores in --label_noise",
        "--label-noise",
        expect="clear accepted",
        writes="checkpoints*",
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
    robustness("fit --batch-size 5000", "batch larger than the data", expect="clear accepted", writes="checkpoints*"),
    robustness("fit --out flat", "run folder with pictures", "flat.*not empty"),
]
