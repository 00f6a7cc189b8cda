"""Accuracies of a classifier under corruptions and attacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gan_convnorm.errors import BadInput
from gan_convnorm.robustness.corruptions import SEVERITIES

__all__ = ["Robustness", "mean_corruption_error"]


@dataclass
class Robustness:
    """Accuracies of a classifier, from 0 to 1.

    >>> Robustness(clean=0.75, corruptions={"fog": [1.0, 0.5]}).to_dict()["mean_corruption_error"]
    0.25

    Attributes:
        clean: on the test images as they are.
        corruptions: name -> one accuracy per severity.
        attacks: name -> accuracy on adversarial images; an image counts that is classified right before and after.
        certified: share of images that are classified right, with a proof that no perturbation of the protocol's
            certified_radius changes it; None if none was asked for.
        protocol: numbers of images, settings of the attacks, seed.
    """

    clean: float
    corruptions: dict[str, list[float]] = field(default_factory=dict)
    attacks: dict[str, float] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)
    certified: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for a JSON file."""
        error = mean_corruption_error(self.corruptions) if self.corruptions else None
        return {
            "clean": self.clean,
            "mean_corruption_error": error,
            "corruptions": self.corruptions,
            "attacks": self.attacks,
            "certified": self.certified,
            "protocol": self.protocol,
        }

    def print_table(self) -> None:
        """Print the corruption table and one line each for the rest, in percent."""
        from rich.console import Console
        from rich.table import Table

        images = self.protocol["images"]
        if self.corruptions:
            table = Table("accuracy in %", *map(str, SEVERITIES), "mean", title="severity", title_justify="left")
            for name, values in self.corruptions.items():
                table.add_row(name, *(f"{100 * v:.1f}" for v in (*values, sum(values) / len(values))))
            Console().print(table)
            error = mean_corruption_error(self.corruptions)
            print(f"mean corruption error {100 * error:.2f}% of {len(self.corruptions)} corruptions, not rescaled")
        for name, value in self.attacks.items():
            print(f"{name}: accuracy {100 * value:.2f}% ({self.protocol['attack_settings']})")
        if self.certified is not None:
            radius = self.protocol["certified_radius"]
            print(
                f"certified: accuracy {100 * self.certified:.2f}%, proved for every change of an image by a Euclidean "
                f"length of up to {radius:g} (pixels are 0 to 1)"
            )
        line = f"clean: accuracy {100 * self.clean:.2f}% of {images} test images"
        if self.protocol["attacked_images"] < images:
            attacked, clean = self.protocol["attacked_images"], self.protocol["clean_of_attacked"]
            line += f"; {100 * clean:.2f}% of the {attacked} that were drawn for corruptions and attacks"
        print(line, flush=True)


def mean_corruption_error(accuracies: dict[str, list[float]], baseline: dict[str, list[float]] | None = None) -> float:
    """Return the mean error over severities, then over corruptions.

    With a baseline each corruption's error is divided by the baseline's (Hendrycks and Dietterich, ICLR 2019,
    section 3.2, where it is AlexNet); without one it is not, as is usual for CIFAR-10-C.

    >>> mean_corruption_error({"fog": [1.0, 0.5]})
    0.25

    Args:
        accuracies: name -> one accuracy per severity, from 0 to 1.
        baseline: the same of another network.

    Returns:
        The error, from 0 to 1 without a baseline.

    Raises:
        BadInput: no corruption, or one of which the baseline has no error.
    """
    if not accuracies:
        raise BadInput("mean_corruption_error: no corruption was measured")
    errors = []
    for name, values in accuracies.items():
        error = sum(1 - v for v in values) / len(values)
        if baseline is not None:
            theirs = baseline.get(name) or [1.0]
            if not sum(1 - v for v in theirs) > 0:
                raise BadInput(
                    f"mean_corruption_error: the baseline has no error under {name}, so none can be relative"
                )
            error /= sum(1 - v for v in theirs) / len(theirs)
        errors.append(error)
    return sum(errors) / len(errors)
