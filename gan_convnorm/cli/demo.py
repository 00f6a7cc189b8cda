"""The verb demo: a page in the browser to play with a trained generator."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from gan_convnorm.cli.data_names import OWN_DATA
from gan_convnorm.data import DATA, Folder, ImageData
from gan_convnorm.errors import BadInput, OneLineParser, one_line_errors
from gan_convnorm.files.plain_values import check_arguments
from gan_convnorm.files.trust import TRUST_HELP, parse_trust
from gan_convnorm.gan import GAN
from gan_convnorm.gan.generator_file import TrainedGenerator
from gan_convnorm.gan.loading import load
from gan_convnorm.inference.demo_page import serve
from gan_convnorm.inference.playground import Playground
from gan_convnorm.run_folder import RUN, RunSettings, read_checkpoint

__all__ = ["main"]

#: the checkpoint of a run folder that is shown, the first that is there
CHECKPOINTS = ("best.ckpt", "last.ckpt")


def main(words: list[str] | None = None) -> None:
    """Run the command line, until Ctrl-C.

    Bad input ends in `SystemExit` with status 2 and one line on standard error.
    """
    parser = OneLineParser(
        prog="gan-convnorm demo",
        description="Serve a page to play with a trained generator: seed, class, truncation, the way between two "
        "samples, nearest training images. It needs no network.",
    )
    parser.add_argument("source", type=Path, help="a run's folder, a .ckpt file, or an exported generator")
    parser.add_argument(
        "--train-images", type=Path, metavar="DIR", help="folder of the training images, where the run's are not found"
    )
    parser.add_argument("--port", type=int, default=7860, help="port of the page (default: 7860)")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--trust", action="append", default=[], metavar="MODULE", help=TRUST_HELP)
    arguments = parser.parse_args(words)
    with one_line_errors():
        source = _checkpoint_in(arguments.source)
        sampler = load(source, trust=parse_trust(arguments.trust))
        train = _train_images(sampler, source, arguments.train_images)
        title = f"{arguments.source.name}, step {int(sampler.g_step)}"
        serve(Playground(sampler, train), title, arguments.port, open_browser=arguments.open)


def _checkpoint_in(source: Path) -> Path:
    """Return a run folder's checkpoint, or the source itself."""
    return next((path for name in CHECKPOINTS if (path := source / name).is_file()), source)


def _train_images(sampler: GAN | TrainedGenerator, source: Path, folder: Path | None) -> Tensor | None:
    """Return the images that a generator was trained on; None, and a line that says so, where they are not found."""
    try:
        if folder is None:
            data = _run_data(sampler, source)
        else:
            shape = sampler.sample(1).shape
            data = Folder(path=str(folder), resolution=shape[-1], channels=3 if shape[1] == 3 else 1)
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
        data = sampler.description.get("run", {}).get("data", {})
        name, given = data.get("class_path", ""), dict(data.get("init_args") or {})
    else:
        settings = RunSettings.read(read_checkpoint(source).get(RUN), source)
        name, given = settings.data, dict(settings.data_arguments)
    if name not in OWN_DATA:
        raise BadInput(f"they are of {name!r:.80}, no data set of this package")
    kind = next(each for each in DATA.values() if name.endswith(f".{each.__qualname__}"))
    return kind(**check_arguments(kind, given, f"the data's settings in {source}"))
