"""The options of ConvNorm layers: checked once, with the defaults of each role."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, Self, TypedDict, Unpack

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.arguments import check_choice, check_number, check_whole

__all__ = ["PAPER", "ConvNormKeywords", "ConvNormOptions", "Gain", "check_scale"]

Gain = float | Literal["lipschitz", "learned"]

CHOICES: dict[str, tuple[str | None, ...]] = {
    "affine": (None, "channel", "depthwise"),
    "gradient": ("full", "stop"),
    "strided": ("subsample", "fold"),
    "boundary": ("circular", "linear"),
}


class ConvNormKeywords(TypedDict, total=False):
    """Keyword arguments of ConvNorm layers; `ConvNormOptions` has their meaning and defaults.

    >>> keywords = ConvNormKeywords(gain="learned", max_gain=2.0)
    >>> ConvNormOptions(**keywords).certified
    True
    """

    eps: float
    gain: Gain
    affine: Literal["channel", "depthwise"] | None
    gradient: Literal["full", "stop"]
    strided: Literal["subsample", "fold"]
    tolerance: float
    boundary: Literal["circular", "linear"]
    max_radius: int | None
    max_gain: float | None


@dataclass(frozen=True)
class ConvNormOptions:
    """Options of a ConvNorm layer; the defaults are those of the layer used alone.

    Attributes:
        eps: added to the power spectrum S_k, in its units (squared weights). With eps = 0 a spectral zero of the
            kernels is amplified most. With any eps below 2e-6 a power below 7e-16 counts as 7e-16; in float64, with one
            below 4e-15, a power below 5e-124 counts as 5e-124.
        gain: a fixed factor; or "lipschitz" for sqrt(groups / C_out), which certifies ||Q|| <= 1; or "learned", a
            scalar under a cap: max_gain * sqrt(groups / C_out) * sigmoid(theta), which certifies ||Q|| <= max_gain.
        affine: r_k: None; "channel", one learned factor per channel; "depthwise", a learned filter of the kernel's
            size per channel on the same grid. Both start as the identity.
        gradient: "full" takes the gradient through S_k; "stop" treats S_k as a constant, as the code of 2021 does.
        strided: the convolution that a layer with a stride preconditions. "subsample": the convolution at every pixel,
            of which every stride-th is kept. "fold": the strided convolution itself, on its coarse grid, with its own
            power spectrum (S_k folded). It is the nearest tight frame, at the strided convolution's cost.
        tolerance: 0 for exact. Otherwise the preconditioner's taps are cut at the smallest radius whose error is
            certified, ||P'_k - P_k|| <= tolerance * ||P_k||, in every forward. The layer stays exact where no radius up
            to `max_radius` meets the tolerance, and in compiled graphs. ||Q_k|| <= 1 holds for the cut filter too.
        boundary: "circular": the grid wraps around, as in the definition. "linear": the grid has twice the size, so
            no pixel that is read has wrapped around. The filter itself still wraps around that grid. The error of that
            grows for smaller images and fewer input channels: 3% of the output for one channel of 8x8 pixels.
        max_radius: largest radius of the taps; when None, the largest that is faster than the exact filter on the
            device.
        max_gain: cap of gain "learned"; 1 when None.

    Raises:
        BadInput: an option value that no layer has.

    >>> ConvNormOptions(gain="lipschitz").affine is None
    True
    >>> ConvNormOptions(eps=-1.0)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: ConvNorm: eps is -1.0, and must be a finite number of at least 0
    """

    eps: float = 1e-4
    gain: Gain = 1.0
    affine: Literal["channel", "depthwise"] | None = None
    gradient: Literal["full", "stop"] = "full"
    strided: Literal["subsample", "fold"] = "subsample"
    tolerance: float = 0.0
    boundary: Literal["circular", "linear"] = "circular"
    max_radius: int | None = None
    max_gain: float | None = None

    def __post_init__(self) -> None:
        check_scale("ConvNorm", self.eps, self.gain, self.max_gain)
        for option, choices in CHOICES.items():
            check_choice("ConvNorm", option, getattr(self, option), choices)
        check_number("ConvNorm", "tolerance", self.tolerance, least=0, below=1)
        if self.max_radius is not None:
            check_whole("ConvNorm", "max_radius", self.max_radius)

    @classmethod
    def of(cls, owner: str, **options: Unpack[ConvNormKeywords]) -> Self:
        """Return the options of a layer; an error names the layer, `owner`."""
        try:
            return cls(**options)
        except BadInput as error:
            raise BadInput(str(error).replace("ConvNorm:", f"{owner}:", 1)) from None

    @property
    def certified(self) -> bool:
        """True if the gain certifies the norm of the whole layer."""
        return self.gain in ("lipschitz", "learned")

    def shown(self) -> dict[str, Any]:
        """Return the options that a layer's text shows: the first three, and the others that are not the default."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            field.name: values[field.name]
            for place, field in enumerate(fields(self))
            if place < 3 or values[field.name] != field.default
        }


def check_scale(layer: str, eps: object, gain: object, max_gain: object) -> None:
    """Refuse an eps, a gain or a cap that is not finite or has the wrong sign.

    Raises:
        BadInput: such a value.

    >>> check_scale("ConvNorm", 1e-4, "large", None)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: ConvNorm: gain is 'large', and must be a number or 'lipschitz' or 'learned'
    """
    check_number(layer, "eps", eps, least=0)
    if isinstance(gain, str) and gain not in ("lipschitz", "learned"):
        raise BadInput(f"{layer}: gain is {gain!r}, and must be a number or 'lipschitz' or 'learned'")
    if not isinstance(gain, str):
        check_number(layer, "gain", gain, above=0)
    if max_gain is not None and gain != "learned":
        raise BadInput(f"{layer}: max_gain is the cap of gain='learned', and gain is {gain!r}; omit max_gain")
    if max_gain is not None:
        check_number(layer, "max_gain", max_gain, above=0)


#: defaults of `convnorm`, and so of `convert` and classifiers: the paper's learned filter follows the preconditioner
PAPER = ConvNormKeywords(affine="depthwise")
