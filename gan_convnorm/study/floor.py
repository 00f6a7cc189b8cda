"""The scores of real images: python -m gan_convnorm.study.floor RUN [TRUSTED ...] prints them as JSON.

They are roughly the lowest FID that a run of the study can reach. The other split's images are scored as if they were
fakes, with the extractor, the reference and the metrics of one of the study's runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from gan_convnorm.data import DATA, ImageData
from gan_convnorm.errors import BadInput, one_line_errors
from gan_convnorm.fidelity import EXTRACTORS, Evaluator, create_extractor, parse_metrics, protocol_named
from gan_convnorm.files.plain_values import check_arguments
from gan_convnorm.files.plain_yaml import read_yaml
from gan_convnorm.files.text import read_text

__all__ = ["floor", "main"]


def floor(config: dict[str, Any], trust: Sequence[str] = ()) -> dict[str, Any]:
    """Return the scores of real images against those that a run is scored against.

    Args:
        config: the run's configuration, as in its config.yaml.
        trust: data modules that are not this package's and may be imported, as module.Class; extractors and files of
            their weights that may be loaded.

    Returns:
        Values by name, numbers of images, and their names.

    Raises:
        BadInput: the configuration names another data module, extractor or weights file, or lacks a value.

    >>> floor({"data": {"class_path": "os.system"}, "scores": {}})
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: the run's data are 'os.system', code that neither this package has nor the study names
    """
    try:
        data_class = _data_class(config["data"]["class_path"], trust)
        arguments, scoring = config["data"].get("init_args") or {}, config["scores"]
        metrics = parse_metrics(scoring["metrics"])
        names = {name: scoring[name] for name in ("protocol", "extractor", "extractor_weights", "isc_splits")}
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"the run's configuration lacks the data or how they are scored ({error})") from error
    for given, known in ((names["extractor"], EXTRACTORS), (names["extractor_weights"], (None,))):
        if given not in known and given not in trust:
            raise BadInput(f"the run's scores need {str(given)[:80]!r}, which the study does not name")
    data = data_class(**check_arguments(data_class, arguments, "the arguments of the run's data"))
    data.prepare_data()
    data.setup("validate")
    reference = protocol_named(names["protocol"]).split
    other = "train" if reference == "test" else "test"
    train: Any = data.train_set.tensors
    extractor = create_extractor(
        names["extractor"],
        metrics=metrics,
        labelled=train,
        weights=names["extractor_weights"],
    )
    real = data.split(reference).tensors[0]
    evaluator = Evaluator(
        extractor,
        real,
        metrics=metrics,
        reference_name=f"{data.name} {reference} images",
        isc_splits=names["isc_splits"],
    )
    images = data.split(other).tensors[0]
    return {"values": evaluator(images).values, "n": len(images), "split": other, "reference": reference}


def _data_class(path: str, trust: Sequence[str]) -> type[ImageData]:
    module, _, name = path.rpartition(".")
    if path in trust or module == "gan_convnorm.data" or module.startswith("gan_convnorm.data."):
        found: type[ImageData] = getattr(import_module(module), name, None)  # type: ignore[assignment]
        if path in trust or found in DATA.values():
            return found
    raise BadInput(f"the run's data are {path[:80]!r}, code that neither this package has nor the study names")


def main(words: Sequence[str] | None = None) -> None:
    """Print the floor of the run whose folder is the first word; the others are what `floor` may trust.

    >>> main(["no such run"])
    Traceback (most recent call last):
    SystemExit: 2
    """
    folder, *trust = sys.argv[1:] if words is None else words
    with one_line_errors():
        path = Path(folder) / "config.yaml"
        content = read_yaml(read_text(path, "the config.yaml of a run"), str(path))
        print(json.dumps(floor(content, trust)))


if __name__ == "__main__":
    main()
