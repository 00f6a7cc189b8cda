"""The training images of a trained generator, for the search of the page of demo."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from torch import Tensor

from gan_convnorm.cli.data_names import OWN_DATA
from gan_convnorm.data import DATA, Folder, ImageData
from gan_convnorm.errors import BadInput
from gan_convnorm.files.plain_values import check_arguments
from gan_convnorm.gan import GAN
from gan_convnorm.gan.generator_file import TrainedGenerator
from gan_convnorm.images.size import Size
from gan_convnorm.run_folder import RUN, RunSettings, read_checkpoint

__all__ = ["train_images"]


def train_images(sampler: GAN | TrainedGenerator, source: Path, folder: Path | None) -> Tensor | None:
    """Return the images that a generator was trained on; print why and return None if they are not found.

    >>> from gan_convnorm import load
    >>> source = Path("checkpoints/digits_convnorm")
    >>> train_images(load(source), source, None)
    the page shows no nearest training images (checkpoints/digits_convnorm is what GAN.save_pretrained wrote, which ...

    Args:
        sampler: the trained generator.
        source: the file or folder that it was read from.
        folder: with the training images; None to take the data that the source names.

    Raises:
        BadInput: images of the folder that cannot be used.
        OSError: a file of the folder that cannot be read.
    """
    try:
        if folder is None:
            data = _run_data(sampler, source)
        else:
            shape = sampler.sample(1).shape
            channels = cast("Literal[1, 3, 4]", shape[1])
            data = Folder(path=str(folder), resolution=Size(*shape[2:]).plain, channels=channels)
        data.prepare_data()
        data.setup("predict")
    except (BadInput, OSError) as error:
        if folder is not None:
            raise
        print(f"the page shows no nearest training images ({error}); --train-images DIR names them", flush=True)
        return None
    images: Tensor = data.train_set.tensors[0]
    return images


def _run_data(sampler: GAN | TrainedGenerator, source: Path) -> ImageData:
    """Return the data module of the run; raise `BadInput` unless it is one of this package's."""
    if isinstance(sampler, TrainedGenerator):
        run = sampler.description.get("run")
        if not isinstance(run, dict) or not isinstance(given := run.get("data_arguments"), dict):
            raise BadInput(f"{source} does not record them")
        name = str(run.get("data"))
    elif source.is_dir():
        raise BadInput(f"{source} is what GAN.save_pretrained wrote, which does not record them")
    else:
        settings = RunSettings.read(read_checkpoint(source).get(RUN), source)
        name, given = str(settings.data), dict(settings.data_arguments)
    if name not in OWN_DATA:
        raise BadInput(f"they are of {name!r:.80}, no data set of this package")
    kind = next(each for each in DATA.values() if name.endswith(f".{each.__qualname__}"))
    given = {key: value for key, value in given.items() if key != "download"}
    return kind(**check_arguments(kind, given, f"the data's settings in {source}"))
