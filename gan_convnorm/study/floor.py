"""What real images score: python -m gan_convnorm.study.floor RUN prints it as JSON.

The floor under every FID of a study, by the extractor, the reference and the metrics of one of its runs: the other
split's images, as if they were fakes.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from gan_convnorm.fidelity import Evaluator, create_extractor, parse_metrics, protocol_named

__all__ = ["floor", "main"]


def floor(config: dict[str, Any]) -> dict[str, Any]:
    """Scores of real images against those that a run is scored against.

    Args:
        config: the run's configuration, as in its config.yaml.

    Returns:
        Values by name, numbers of images, and their names.
    """
    module, _, name = config["data"]["class_path"].rpartition(".")
    data: Any = getattr(import_module(module), name)(**config["data"].get("init_args", {}))
    data.prepare_data()
    data.setup("validate")
    scoring = config["scores"]
    metrics = parse_metrics(scoring["metrics"])
    reference = protocol_named(scoring["protocol"]).split
    other = "train" if reference == "test" else "test"
    extractor = create_extractor(
        scoring["extractor"],
        metrics=metrics,
        labelled=data.train_set.tensors if len(data.train_set.tensors) > 1 else None,
        weights=scoring["extractor_weights"],
    )
    real = data.split(reference).tensors[0]
    evaluator = Evaluator(
        extractor,
        real,
        metrics=metrics,
        reference_name=f"{data.name} {reference} images",
        isc_splits=scoring["isc_splits"],
    )
    images = data.split(other).tensors[0]
    return {"values": evaluator(images).values, "n": len(images), "split": other, "reference": reference}


def main() -> None:
    """Print the floor of the run whose folder is the first word."""
    config = yaml.safe_load((Path(sys.argv[1]) / "config.yaml").read_text())
    print(json.dumps(floor(config)))


if __name__ == "__main__":
    main()
