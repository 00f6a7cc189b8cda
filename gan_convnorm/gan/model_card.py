"""The model card of a trained GAN: README.md with YAML front matter, as the Hugging Face Hub reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from gan_convnorm.errors import BadInput
from gan_convnorm.files.plain_json import read_json
from gan_convnorm.files.plain_yaml import read_yaml
from gan_convnorm.files.text import read_text
from gan_convnorm.images.size import Size
from gan_convnorm.run_folder import RUN, read_rows
from gan_convnorm.score_table import SCORE_COLUMNS, SCORES, protocol_in_words, score_rows, titles, write_score

__all__ = ["model_card"]

#: the Hub's names of scores, where they are not ours
HUB_NAMES = {"isc": "inception_score"}
TASK = "unconditional-image-generation"
#: entries of a protocol that the card shows
NEEDED = {"n_fake", "fake", "extractor"}


def _cell(value: object) -> str:
    """Return a value as the text of one cell of a Markdown table."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")


_ENVIRONMENT = Environment(
    loader=PackageLoader("gan_convnorm.gan", "."),
    autoescape=False,  # Markdown; texts from files pass `cell`, or YAML's own quoting
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters["cell"] = _cell


def model_card(config: Mapping[str, Any], name: str, run: Path | None, license_name: str | None) -> str:
    """Return the card's text.

    >>> config = read_json(Path("checkpoints/digits_convnorm/config.json").read_text(), "config.json")
    >>> model_card(config, "me/digits", None, "mit").splitlines()[:3]
    ['---', 'license: mit', 'library_name: gan_convnorm']

    Args:
        config: "g_step", and the record `RUN` with the model's settings.
        name: of the repository or folder.
        run: the run's folder with config.yaml, summary.json and metrics.csv; None to omit data and scores.
        license_name: of the weights, by its identifier on the Hub; None where it is not known.

    Raises:
        BadInput: a damaged file in the run's folder, or no config.yaml.
    """
    model, step = config[RUN]["model"], config["g_step"]
    settings = _mapping(_read(run, "config.yaml", read_yaml)) if run is not None else {}
    summary = _mapping(_read(run, "summary.json", read_json)) if run is not None else {}
    values, protocol = _scores(summary, step, run)
    data_class = str(_mapping(settings.get("data")).get("class_path", ""))
    data = str(protocol.get("reference") or data_class.rpartition(".")[2])
    license_shown = license_name or "unknown"
    architecture = model["architecture"]
    size = Size.of(model["resolution"])
    text: str = _ENVIRONMENT.get_template("model_card.md.j2").render(
        front_matter=yaml.safe_dump(
            _metadata(name, license_shown, architecture["disc_norm"], data, values, protocol), sort_keys=False
        ),
        name=_cell(name.rpartition("/")[2]),
        place=json.dumps(name, ensure_ascii=False),
        size=size,
        channels=model["channels"],
        conditional=architecture["conditional"],
        vectors=[_cell(vector) for vector in model.get("conditions") or []],
        facts=_facts(model, step, settings, summary, protocol, data) | {"licence": license_shown},
        scores={title: write_score(values, score) for score, title in titles(values).items()},
        protocol=protocol_in_words(protocol) if values else "",
    )
    return text


def _facts(
    model: Mapping[str, Any],
    step: int,
    settings: Mapping[str, Any],
    summary: Mapping[str, Any],
    protocol: Mapping[str, Any],
    data: str,
) -> dict[str, str]:
    """Return the rows of the card's table, by title."""
    architecture, chosen = model["architecture"], model["optimization"]
    options = f" {architecture['disc_norm_options']}" if architecture["disc_norm_options"] else ""
    vectors, trainer = model.get("conditions") or [], _mapping(settings.get("trainer"))
    facts = {
        "data": _training_data(data, protocol),
        "resolution": f"{Size.of(model['resolution'])}, channels {model['channels']}",
        "classes": f"{model['num_classes']}, class-conditional" if architecture["conditional"] and not vectors else "",
        "vectors": f"conditional on {', '.join(vectors)}" if architecture["conditional"] and vectors else "",
        "network": f"{architecture['network']}, width {architecture['width']:g}, latents {architecture['latent_dim']}",
        "attention": f"on {architecture['attention']}x{architecture['attention']} features"
        if architecture["attention"]
        else "",
        "discriminator's normalization": f"{architecture['disc_norm']}{options}",
        "generator's normalization": architecture["gen_norm"],
        "training": f"{step} generator steps, n_dis {chosen['n_dis']}, seed {model['seed']}",
        "precision": "" if (precision := trainer.get("precision")) in (None, "32-true") else str(precision),
        "batch size": _mapping(_mapping(settings.get("data")).get("init_args")).get("batch_size", ""),
        "objective": ", ".join(
            f"{word}{chosen[key]}"
            for key, word in (("loss", ""), ("penalty", "penalty "), ("augmentation", "augmentation "))
            if chosen[key]
        ),
        "learning rates": f"generator {chosen['gen_lr']:g}, discriminator {chosen['disc_lr']:g}",
        "started from": "/".join(Path(str(settings.get("init_from") or "")).parts[-2:]),
        "commit": summary.get("commit") or "",
        "versions": ", ".join(f"{key} {value}" for key, value in _mapping(summary.get("versions")).items()),
    }
    return {title: value for title, value in facts.items() if value}


def _training_data(reference: str, protocol: Mapping[str, Any]) -> str:
    """Return what a run was trained on: the images that it was scored against, or the training images beside them."""
    if reference.endswith(" test images"):
        return f"{reference.removesuffix(' test images')} training images"
    return f"{reference} ({protocol['n_real']} images)" if "n_real" in protocol else reference


def _metadata(
    name: str,
    license_name: str,
    norm: str,
    data: str,
    values: Mapping[str, float],
    protocol: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the front matter: https://huggingface.co/docs/hub/model-cards."""
    found = {score: HUB_NAMES.get(score, score) for score in titles(values)}
    metadata: dict[str, Any] = {
        "license": license_name,
        "library_name": "gan_convnorm",
        "pipeline_tag": TASK,
        "tags": ["gan", "sngan", "image-generation", f"{norm.replace(':', '.')}-normalization"],
    }
    if values:
        metadata["metrics"] = list(found.values())
        measured = [
            {
                "type": found[score],
                "name": f"{SCORES[score].title}, {protocol.get('extractor')} features",
                "value": round(values[score], 6),
            }
            for score in found
        ]
        result = {
            "task": {"type": TASK},
            "dataset": {"type": data.replace(" ", "-"), "name": data},
            "metrics": measured,
        }
        metadata["model-index"] = [{"name": name.rpartition("/")[2], "results": [result]}]
    return metadata


def _scores(summary: Mapping[str, Any], step: int, run: Path | None) -> tuple[dict[str, float], Mapping[str, Any]]:
    """Return the run's scores at a step, with their protocol; none where they were not taken."""
    final, protocol = _mapping(summary.get("final")), _mapping(summary.get("protocol"))
    if run is None or not protocol:
        return {}, {}
    found: Mapping[str, Any] = {}
    if final and step == summary.get("g_steps"):
        found, protocol = _mapping(final.get("values")), _mapping(final.get("protocol"))
    else:
        rows = [row for row in score_rows(read_rows(run / "metrics.csv")) if row["g_step"] == step]
        found = rows[-1] if rows else {}
    values = {name: value for name, value in found.items() if name in SCORE_COLUMNS}
    if not all(isinstance(value, (int, float)) for value in values.values()) or not protocol.keys() >= NEEDED:
        raise BadInput(
            f"{run / 'summary.json'} has scores without numbers or protocol; expected what a run has written"
        )
    return values, protocol


def _read(run: Path, name: str, parse: Any) -> object:  # noqa: ANN401 - either of two functions
    path = run / name
    if name == "summary.json" and not path.exists():
        return {}  # the run has not ended
    return parse(read_text(path, f"the {name} of a run"), str(path))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
