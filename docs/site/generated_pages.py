"""Pages that the build makes: command line, keys of a configuration, Python reference, files of the repository."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import json
import os
import re
from contextlib import redirect_stdout, suppress
from pathlib import Path

import griffe
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "gan_convnorm"
#: files beside docs/ that become pages, by their page
PROJECT = {
    "project/architecture.md": "ARCHITECTURE.md",
    "project/contributing.md": "CONTRIBUTING.md",
    "project/changelog.md": "CHANGELOG.md",
    "project/security.md": "SECURITY.md",
    "project/checkpoints.md": "checkpoints/README.md",
}
#: in the order of a reader's interest; rooms that are missing here come last
FIRST = ("layers", "operators", "data", "fidelity", "gan", "networks", "objectives", "callbacks", "robustness")
#: rooms whose interface is the command line or a page, not Python
NOT_PYTHON = ("cli", "report")
PYTHON = "reference/python/"
VERBS = ("fit", "validate", "test", "predict", "score", "compare", "study", "export", "demo", "classify")


def on_config(config):
    """Put the pages of the Python reference into the navigation, in place of the entry that names their folder."""
    for section in config.nav:
        for entry in next(iter(section.values())) if isinstance(next(iter(section.values())), list) else []:
            if isinstance(entry, dict) and PYTHON in entry.values():
                entry["Python"] = [f"{PYTHON}index.md", *(f"{PYTHON}{room}.md" for room in rooms())]
    return config


def on_files(files, config):
    """Add the generated pages."""
    pages = {page: (ROOT / source).read_text(encoding="utf-8") for page, source in PROJECT.items()}
    pages["reference/command_line.md"] = command_line()
    pages["reference/config.md"] = configuration()
    pages[f"{PYTHON}index.md"] = python_index()
    pages |= {f"{PYTHON}{room}.md": python_page(room) for room in rooms()}
    for page, content in pages.items():
        files.append(File.generated(config, page, content=content))
    return files


def rooms():
    """Return the packages and modules with a page in the Python reference."""
    found = [path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()]
    found = sorted(
        name for name in [*found, "random_streams", "errors"] if name not in NOT_PYTHON and public_names(name)
    )
    return [*(name for name in FIRST if name in found), *(name for name in found if name not in FIRST)]


def public_names(room):
    """Return where a room's public names are defined: the package's own names, else those of all its modules."""
    path = PACKAGE / room
    if not path.is_dir():
        return [f"gan_convnorm.{room}.{name}" for name in names_in(path.with_suffix(".py"))]
    if names := names_in(path / "__init__.py"):
        # By their modules: gan_convnorm.layers.aol alone could also mean the module of that name.
        places = imports_of(path / "__init__.py")
        return [places.get(name, f"gan_convnorm.{room}.{name}") for name in names]
    found = []
    for file in sorted(path.rglob("*.py")):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found += [f"{module}.{name}" for name in names_in(file)]
    return found


def names_in(file):
    """Return the names in a module's __all__, constants last."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return sorted(ast.literal_eval(node.value), key=lambda name: (name.isupper(), name.lower()))
    return []


def imports_of(file):
    """Return the names that a module imports, with the dotted places that they come from."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    froms = [node for node in body if isinstance(node, ast.ImportFrom)]
    return {alias.name: f"{node.module}.{alias.name}" for node in froms for alias in node.names}


def about(room):
    """Return a room's docstring."""
    path = PACKAGE / room
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""


def python_index():
    """Return the first page of the Python reference."""
    rows = [f"| [{room}]({room}.md) | {about(room).splitlines()[0].replace('|', '&#124;')} |" for room in rooms()]
    table = "\n".join(["| `gan_convnorm.` | |", "|---|---|", *rows])
    return f"# Python\n\nEvery public name, by the package it is imported from.\n\n{table}\n\n::: gan_convnorm.load\n"


def python_page(room):
    """Return the page of one room."""
    entries = "\n\n".join(f"::: {name}" for name in public_names(room))
    return f"# gan_convnorm.{room}\n\n{about(room)}\n\n{entries}\n"


def command_line():
    """Return every verb's help, as the program prints it."""
    from gan_convnorm.cli import main

    os.environ["COLUMNS"] = "88"
    parts = [
        "# Command line",
        "`gan-convnorm VERB`, `python -m gan_convnorm VERB` and, in a checkout, `python train_gan.py VERB` are the "
        "same. Without a verb, `fit` is meant. Below is what `VERB --help` prints.",
    ]
    for verb in VERBS:
        text = io.StringIO()
        with redirect_stdout(text), suppress(SystemExit):
            main([verb, "--help"])
        # The program names itself as it was started, which is mkdocs here.
        printed = re.sub(r"^usage: (python -m )?\S+", "usage: gan-convnorm", text.getvalue().rstrip())
        parts.append(f"## {verb}\n\n```text\n{printed}\n```")
    return "\n\n".join(parts) + "\n"


def configuration():
    """Return the keys of a training run's configuration, from the classes that take them."""
    from gan_convnorm.callbacks import FidelityScores
    from gan_convnorm.data import DATA
    from gan_convnorm.gan import Architecture, Optimization

    short = short_flags()
    parts = [
        "# Keys of a configuration",
        "A configuration is a YAML file for `--config`. Each section below has the key that its own keys stand under. "
        "On the command line a key is a flag, such as `--model.architecture.width 1`; many have a short flag as well. "
        "`--print_config` prints the whole configuration. Every run writes its own to `config.yaml`. The keys below "
        "`trainer` are those of [Lightning's Trainer](https://lightning.ai/docs/pytorch/stable/common/trainer.html).",
    ]
    for prefix, kind, title in (
        ("model.architecture", Architecture, "Networks"),
        ("model.optimization", Optimization, "Optimization"),
        ("scores", FidelityScores, "Scores"),
    ):
        parts += [f"## {title}: `{prefix}`", key_table(prefix, kind, short)]
    parts.append("## Data: `data.class_path`, `data.init_args`")
    parts.append(
        "`--data NAME` sets the class, `--data.ARGUMENT VALUE` one of its arguments. [More on data](../data.md)."
    )
    for name, kind in DATA.items():
        parts += [f"### `{name}`", key_table("data.init_args", kind, short)]
    return "\n\n".join(parts) + "\n"


def short_flags():
    """Return the short flags of training, by their keys."""
    from gan_convnorm.cli.gan_flags import GAN_FLAGS

    return {flag.key: flag.name for flag in GAN_FLAGS.of_verb("fit")}


def key_table(prefix, kind, short):
    """Return a class's arguments as a table: key, short flag, default, description."""
    described = {argument.name: argument.description for argument in arguments_of(kind)}
    rows = ["| key | meaning | default | short flag |", "|---|---|---|---|"]
    for name, parameter in inspect.signature(kind).parameters.items():
        default = "" if parameter.default is inspect.Parameter.empty else f"`{written(parameter.default)}`"
        flag = short.get(f"{prefix}.{name}")
        text = " ".join(described.get(name, "").split()).replace("|", "&#124;")
        rows.append(f"| `{name}` | {text} | {default} | {f'`{flag}`' if flag else ''} |")
    return "\n".join(rows)


def written(value):
    """Return a default as YAML has it."""
    if dataclasses.is_dataclass(value):
        return "…"
    return value if isinstance(value, str) and value else json.dumps(value)


def arguments_of(kind):
    """Return the entries in the Args section of a class's docstring."""
    docstring = griffe.Docstring(inspect.getdoc(kind) or "", parser="google")
    sections = docstring.parse(warnings=False)
    return next((part.value for part in sections if part.kind is griffe.DocstringSectionKind.parameters), [])
