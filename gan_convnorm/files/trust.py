"""Code that a loaded file names, which is imported only if the user trusts it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gan_convnorm.errors import BadInput

__all__ = ["TRUST_HELP", "check_trusted", "code_names", "parse_trust"]

TRUST_HELP = "Module of your own that the checkpoint may name, such as that of your normalization; it is imported."


def parse_trust(words: Iterable[str]) -> tuple[str, ...]:
    """Return the modules of `--trust a,b` flags, one name each.

    >>> parse_trust(["a,b", "c.d"])
    ('a', 'b', 'c.d')
    """
    return tuple(name for word in words for name in word.replace(",", " ").split())


def code_names(name: str) -> list[str]:
    """Return the parts of a normalization's or network's name that are code outside this package.

    >>> code_names("convnorm+mine:Norm")
    ['mine:Norm']

    Args:
        name: such as "convnorm", "module:Name", or two joined by a plus.
    """
    return [part for part in name.split("+") if ":" in part]


def check_trusted(names: Iterable[str], trust: Sequence[str], source: object) -> None:
    """Raise unless every module that a file names is trusted.

    >>> check_trusted(["mine.norms:Norm"], trust=["mine"], source="a.ckpt")

    Args:
        names: "module:Name" or "module.Class".
        trust: modules that the user trusts; a package covers the modules in it.
        source: the file, for the message.

    Raises:
        BadInput: names the first module that is not trusted, and how to trust it.
    """
    if isinstance(trust, str):
        raise BadInput(f"trust is the text {trust!r}; expected a sequence of module names, such as trust=({trust!r},)")
    for name in names:
        module = name.partition(":")[0] if ":" in name else name.rpartition(".")[0]
        if not any(module == each or module.startswith(f"{each}.") for each in trust):
            raise BadInput(
                f"{source} names {name[:80]!r}, code that is not part of this package; if you trust it, say "
                f"--trust {module[:60]} (in Python trust=({module[:60]!r},))"
            )
