"""Array files and published data sets to train on, as users have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from bad_input_cases.case import Case, command, touch
from bad_input_cases.checkpoint_edits import bytes_changed, cut

__all__ = ["CASES"]

ARRAYS = "--data gan_convnorm.data.Arrays --data.path"


def arrays(words: str, what: str, says: str = "", **more: Any) -> Case:
    if "accepted" in more.get("expect", ""):
        more.setdefault("writes", "checkpoints*")
    return command("fit", f"{ARRAYS} {words}", f"arrays {what}", says, **more)


def npz(**named: Any) -> Any:
    return lambda: np.savez("bad.npz", **named)


def pt(content: Any) -> Any:
    return lambda: torch.save(content, "bad.pt")


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)


def text_zip() -> None:
    import zipfile

    with zipfile.ZipFile("old.npz", "w") as archive:
        archive.writestr("images.npy", "text")


def old_form() -> None:
    content = (torch.from_numpy(pixels(8, 16, 16, 3)), torch.arange(8) % 2)
    torch.save(content, "old.pt", _use_new_zipfile_serialization=False)


CASES = [
    arrays("arrays.npz", "that are right", expect="accepted", prints="FID"),
    arrays("none.npz", "that are not there", "none.npz"),
    arrays("photos", "that are a folder", "photos"),
    arrays("plan.yaml", "that are text", "plan.yaml"),
    arrays("trained/last.ckpt", "that are a checkpoint", "last.ckpt"),
    arrays("arrays.npz", "that are cut", "arrays.npz", prepare=cut("arrays.npz")),
    arrays("arrays.npz", "that are damaged", "arrays.npz", prepare=bytes_changed("arrays.npz")),
    arrays("tensors.pt", "that are a cut tensor file", "tensors.pt", prepare=cut("tensors.pt")),
    *(
        arrays("bad.npz", what, says, prepare=npz(**named), expect=expect, quick="2e9" in what)
        for what, says, named, expect in (
            ("without images", "bad.npz", {"nonsense": np.zeros(3)}, "clear"),
            ("of floats", "float", {"images": np.zeros((8, 16, 16, 3))}, "clear"),
            ("of 16 bits", "uint16", {"images": np.zeros((8, 16, 16, 3), dtype=np.uint16)}, "clear"),
            ("of vectors", "bad.npz", {"images": pixels(8, 16)}, "clear"),
            ("of no images", "bad.npz", {"images": pixels(0, 16, 16, 3)}, "clear"),
            ("of one image", "1|one", {"images": pixels(1, 16, 16, 3)}, "clear accepted"),
            ("with two channels", "bad.npz", {"images": pixels(8, 16, 16, 2)}, "clear"),
            ("with channels on both sides", "bad.npz", {"images": pixels(8, 3, 16, 3)}, "clear"),
            ("with fewer labels", "label", {"images": pixels(8, 16, 16, 3), "labels": np.zeros(5, dtype=int)}, "clear"),
            ("with labels of floats", "label", {"images": pixels(8, 16, 16, 3), "labels": np.zeros(8)}, "clear"),
            ("with negative labels", "label", {"images": pixels(8, 16, 16, 3), "labels": np.arange(8) - 1}, "clear"),
            ("with labels of words", "label", {"images": pixels(8, 16, 16, 3), "labels": np.array(["a"] * 8)}, "clear"),
            (
                "with labels from 1",
                "label",
                {"images": pixels(8, 16, 16, 3), "labels": np.arange(8) % 2 + 1},
                "clear accepted",
            ),
            (
                "with a label 2e9",
                "label",
                {"images": pixels(8, 16, 16, 3), "labels": np.array([0] * 7 + [2 * 10**9])},
                "clear",
            ),
            (
                "with other test labels",
                "label",
                {
                    "images": pixels(8, 16, 16, 3),
                    "labels": np.zeros(8, dtype=int),
                    "test_images": pixels(2, 16, 16, 3),
                    "test_labels": np.array([0, 5]),
                },
                "clear",
            ),
            (
                "with test images of other channels",
                "channels",
                {"images": pixels(8, 16, 16, 3), "test_images": pixels(2, 16, 16)},
                "clear",
            ),
        )
    ),
    command(
        "fit",
        f"{ARRAYS} bad.npz --conditional",
        "arrays with a label 2e9 and a GAN with classes",
        "label",
        prepare=npz(images=pixels(8, 16, 16, 3), labels=np.array([0] * 7 + [2 * 10**9])),
    ),
    command(
        "fit",
        f"{ARRAYS} bad.npz --conditional",
        "arrays with labels from 1 and a GAN with classes",
        "label.*0|class 0",
        prepare=npz(images=pixels(40, 16, 16, 3), labels=np.arange(40) % 2 + 1),
        expect="clear accepted",
        prints="label.*0|class 0",
        writes="checkpoints*",
    ),
    *(
        arrays("bad.pt", f"in a .pt file, {what}", says, prepare=pt(content), expect=expect)
        for what, says, content, expect in (
            ("a number", "bad.pt", 5, "clear"),
            ("a word", "bad.pt", "text", "clear"),
            ("an empty dictionary", "bad.pt", {}, "clear"),
            ("an empty list", "bad.pt", [], "clear"),
            ("None", "bad.pt", None, "clear"),
            ("a tensor of floats", "float", torch.zeros(8, 3, 16, 16), "clear"),
            (
                "a pair with a list of labels",
                "label",
                [torch.from_numpy(pixels(8, 16, 16, 3)), [0, 1] * 4],
                "clear accepted",
            ),
            ("a pair with labels of words", "label", [torch.from_numpy(pixels(8, 16, 16, 3)), ["a"] * 8], "clear"),
            ("three tensors", "bad.pt", [torch.from_numpy(pixels(8, 16, 16, 3))] * 3, "clear accepted"),
        )
    ),
    command(
        "fit",
        f"{ARRAYS} bad.pt --conditional",
        "arrays in a pair with a list of labels and a GAN with classes",
        "label",
        prepare=pt([torch.from_numpy(pixels(40, 16, 16, 3)), [0, 1] * 20]),
        expect="clear accepted",
        writes="checkpoints*",
    ),
    command(
        "fit",
        f"{ARRAYS} old.pt",
        "arrays in a .pt file of old form",
        "old.pt",
        prepare=old_form,
        expect="clear accepted",
        writes="checkpoints*",
    ),
    command("fit", f"{ARRAYS} old.npz", "arrays in a zip file of text", "old.npz", prepare=text_zip),
    *(
        command(
            "fit",
            f"--data {name} --data.root {path}",
            f"{name} data in {what}",
            f"{path}|lmdb",
            prepare=lambda: touch("text/data_batch_1"),
        )
        for name in ("cifar10", "svhn", "celeba", "fashion_mnist", "stl10", "lsun")
        for path, what in (("none", "a folder that is not there"), ("text", "a folder of something else"))
    ),
]
