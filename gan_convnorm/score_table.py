"""The one table of scores: name, title, which value is the better one, and how a value is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "LARGEST_NUMBER",
    "SCORES",
    "SCORE_COLUMNS",
    "Score",
    "best_row",
    "features_in_words",
    "images_in_words",
    "protocol_in_words",
    "score_rows",
    "titles",
    "write_score",
]

#: far above what float32 training reaches; of larger floats, sums and squares are infinite
LARGEST_NUMBER = 1e100


@dataclass(frozen=True)
class Score:
    """A score of generated images.

    >>> Score("FID", "min", ".2f", "fid").better, f"{4.321:{SCORES['fid'].form}}"
    ('min', '4.32')

    Attributes:
        title: in tables and figures.
        better: "min" where a lower value is better, "max" where a higher one is.
        form: format of a value, as in `format`.
        metric: the metric that gives it, as `--metrics` names it.
        has_deviation: a standard deviation stands beside it, as NAME_std.
    """

    title: str
    better: Literal["min", "max"]
    form: str
    metric: str
    has_deviation: bool = False


#: by name, in the order of tables and figures
SCORES = {
    "fid": Score("FID", "min", ".2f", "fid"),
    "isc": Score("IS", "max", ".2f", "isc", has_deviation=True),
    "kid": Score("KID", "min", ".2e", "kid", has_deviation=True),
    "precision": Score("precision", "max", ".3f", "prc"),
    "recall": Score("recall", "max", ".3f", "prc"),
}
#: columns of metrics.csv with a score or its standard deviation
SCORE_COLUMNS = (*SCORES, *(f"{name}_std" for name, score in SCORES.items() if score.has_deviation))


def titles(*rows: Mapping[str, object]) -> dict[str, str]:
    """Return the titles of the scores that some row has, by name.

    >>> titles({"step": 10, "kid": 0.01}, {"fid": 4.0})
    {'fid': 'FID', 'kid': 'KID'}
    """
    return {name: score.title for name, score in SCORES.items() if any(name in row for row in rows)}


def write_score(values: Mapping[str, float], name: str) -> str:
    """Return a score as text, with its standard deviation where `values` has it as NAME_std; a dash for none.

    >>> write_score({"isc": 7.5, "isc_std": 0.25}, "isc")
    '7.50 +- 0.25'
    """
    if name not in values:
        return "-"
    form, deviation = SCORES[name].form, values.get(f"{name}_std")
    return f"{values[name]:{form}}" + ("" if deviation is None else f" +- {deviation:{form}}")


def best_row(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the first row with the best value of a score; the last row if none has it.

    A resumed run may take a score that it did not take before.

    >>> best_row([{"fid": 3.0, "isc": 2.0}, {"fid": 4.0, "isc": 9.0}], "isc")
    {'fid': 4.0, 'isc': 9.0}
    >>> best_row([{"fid": 3.0}, {"fid": 4.0}], "isc")
    {'fid': 4.0}
    """
    better = min if SCORES[name].better == "min" else max
    return better((row for row in rows if name in row), key=lambda row: row[name], default=rows[-1])


def score_rows(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Return the rows of metrics.csv that have scores, as numbers: "g_step" and the scores.

    >>> score_rows([{"step": "5", "fid": "", "d_loss": "1"}, {"step": "10", "fid": "4", "d_loss": "1"}])
    [{'g_step': 10, 'fid': 4.0}]
    """
    return [
        {"g_step": int(row["step"]), **{name: float(row[name]) for name in SCORE_COLUMNS if row.get(name)}}
        for row in rows
        if any(row.get(name) for name in SCORES)
    ]


def images_in_words(protocol: Mapping[str, Any]) -> str:
    """Return which images were compared; for a score without real images, such as IS, the fakes alone.

    >>> images_in_words({"n_fake": 50, "fake": "samples", "n_real": 40, "reference": "test images"})
    '50 samples against 40 test images'

    Args:
        protocol: as for `protocol_in_words`.
    """
    real = [protocol.get("n_real"), protocol.get("reference")]
    against = " ".join(str(part) for part in real if part is not None)
    return f"{protocol.get('n_fake')} {protocol.get('fake')}" + (f" against {against}" if against else "")


def features_in_words(protocol: Mapping[str, Any]) -> str:
    """Return whose features were compared, with what tells a classifier from those that other machines train.

    >>> features_in_words({"extractor": "labelled-classifier-2", "extractor_accuracy": 0.7665})
    'labelled-classifier-2 features (76.65% right)'

    Args:
        protocol: as for `protocol_in_words`; "extractor_digest" of a classifier's weights.
    """
    accuracy, digest = protocol.get("extractor_accuracy"), protocol.get("extractor_digest")
    known = [f"{accuracy:.2%} right"] if isinstance(accuracy, int | float) else []
    known += [f"weights {digest}"] if digest else []
    return f"{protocol.get('extractor')} features" + (f" ({', '.join(known)})" if known else "")


def protocol_in_words(protocol: Mapping[str, Any]) -> str:
    """Return on one line how scores were taken.

    Args:
        protocol: "n_fake" images "fake"; "n_real" images "reference"; "extractor"; for a
            classifier "extractor_accuracy", from 0 to 1, on "extractor_held_out" images; "isc_splits"; "kid_subsets"
            and "kid_subset_size".

    >>> protocol_in_words({"n_fake": 50, "fake": "samples", "extractor": "inception", "isc_splits": 10})
    '50 samples; inception features; IS over 10 splits'
    """
    p = protocol
    parts = [images_in_words(p), f"{p['extractor']} features"]
    if isinstance(accuracy := p.get("extractor_accuracy"), int | float):
        parts[-1] += f" ({accuracy:.0%} right on {p.get('extractor_held_out')} held-out images)"
    if "isc_splits" in p:
        parts.append(f"IS over {p['isc_splits']} splits")
    if "kid_subsets" in p:
        parts.append(f"KID over {p['kid_subsets']} subsets of {p.get('kid_subset_size')}")
    return "; ".join(parts)
