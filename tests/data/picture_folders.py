"""Folders of one-coloured images, and what is read from them."""

import numpy as np
from PIL import Image

from gan_convnorm.data import Folder


def write(path, value=0, size=(12, 8), mode="RGB"):
    """An image of one colour; JPEG keeps it to a level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).convert(mode).save(path)


def values(dataset):
    """Every image's first pixel, labels beside it where there are any."""
    columns = [dataset.tensors[0][:, 0, 0, 0].tolist(), *[labels.tolist() for labels in dataset.tensors[1:]]]
    return list(zip(*columns, strict=True)) if len(columns) > 1 else columns[0]


def loaded(path, **options):
    data = Folder(str(path), **{"resolution": 8, **options})
    data.prepare_data()
    data.setup()
    return data


def damaged_folder(folder):
    for number in range(70):
        write(folder / "ab"[number % 2] / f"{number:02d}.png", number)
    (folder / "a" / "00.png").write_bytes(b"damaged")
    whole = (folder / "b" / "69.png").read_bytes()
    (folder / "b" / "69.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.zeros((8, 8), dtype=np.uint16)).save(folder / "a" / "02.png")
