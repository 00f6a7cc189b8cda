"""The short flags of a training program, as its help shows them and its command line takes them; no torch is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Flag", "FlagTable"]

#: parts of the configuration that a checkpoint brings with it
KEPT = ("data", "evaluation", "model", "scores", "seed_everything", "split")


@dataclass(frozen=True)
class Flag:
    """A flag of one word, such as --steps.

    Attributes:
        name: as it is typed, with hyphens.
        key: the nested argument that it is another name of, a key of config.yaml.
        about: its help, in one sentence.
        value: the value's name in the help; "" for a switch, which means true where no value follows.
        default: the value when it is not given; None where `about` says what happens then.

    >>> Flag("--seed", "seed_everything", "Seed of the weights.", "N", 0).help()
    'Seed of the weights. (default: 0)'
    """

    name: str
    key: str
    about: str
    value: str = ""
    default: object = None

    def help(self, *, of_run: bool = False) -> str:
        """Return the help with the default.

        Args:
            of_run: the verb reads a checkpoint, which brings the settings of its run.
        """
        if self.default is None or self.default is False:
            return self.about
        kept = of_run and self.key.partition(".")[0] in KEPT
        return f"{self.about} (default: {'as in the run' if kept else self.default})"


@dataclass(frozen=True)
class FlagTable:
    """The verbs and flags of one training program.

    Attributes:
        word: the word that chooses the program; "" for the GANs', which needs none.
        verbs: verb -> its help, in one sentence.
        groups: title -> flags, in the order of the help; every verb takes all of them but for `only`.
        shown: verb -> flags that its help lists; a verb that is not a key lists all that it takes.
        only: flag -> the verbs that take it.
        sections: names of the parts of config.yaml, each of which may be given as a file, such as --model FILE.
        rare: verb -> Lightning's own arguments of that verb, which `--help` does not list.

    >>> flags = (Flag("--steps", "model.steps", "Generator steps.", "N"), Flag("--compile", "model.compile", ""))
    >>> table = FlagTable("", {"fit": "Train."}, {"the run": flags}, {}, {}, (), {})
    >>> table.keys("fit"), table.switches("fit")
    ({'--steps': 'model.steps', '--compile': 'model.compile'}, ['--compile'])
    """

    word: str
    verbs: dict[str, str]
    groups: dict[str, tuple[Flag, ...]]
    shown: dict[str, tuple[str, ...]]
    only: dict[str, tuple[str, ...]]
    sections: tuple[str, ...]
    rare: dict[str, tuple[str, ...]]

    def of_verb(self, verb: str) -> Iterator[Flag]:
        """Yield the flags that a verb takes, in the order of the groups."""
        for flags in self.groups.values():
            yield from (flag for flag in flags if verb in self.only.get(flag.name, (verb,)))

    def keys(self, verb: str) -> dict[str, str]:
        """Return every flag of one word with its key: short flags, and keys of config.yaml without a dot."""
        short = {flag.name: flag.key for flag in self.of_verb(verb)}
        tops = [key for key in short.values() if "." not in key] + [*self.sections, *self.rare.get(verb, ())]
        return {f"--{key.replace('_', '-')}": key for key in tops} | short

    def switches(self, verb: str) -> list[str]:
        """Return the flags of a verb that mean true where no value follows."""
        return [flag.name for flag in self.of_verb(verb) if not flag.value and flag.key != "print_config"]
