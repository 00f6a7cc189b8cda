"""Every public function and class of the package shows an example in its docstring, which pytest runs."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: names without an example, and the reason for each
EXEMPT = {
    "gan_convnorm.cli.study_worker.main": "watches over its parent process for as long as its own process lives",
    "gan_convnorm.gan.hub.upload": "needs the Hub",
    "gan_convnorm.gan.programs.export_onnx": "takes seconds, and the packages of the extra onnx",
    "gan_convnorm.gan.programs.export_program": "takes seconds: torch imports its tracer at the first call",
    "gan_convnorm.inference.demo_page.build_page": "needs Gradio, which the tests have not",
    "gan_convnorm.inference.demo_page.serve": "opens a server that runs until Ctrl-C",
    "gan_convnorm.inference.real_images.project_held_out": "takes seconds: it searches as long as predict does",
}
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def has_example(node):
    """Return whether a docstring that doctest finds has an example: a definition's own, or of a class's methods."""
    within = node.body if isinstance(node, ast.ClassDef) else []
    return ">>> " in (ast.get_docstring(node) or "") or any(
        has_example(part) for part in within if isinstance(part, DEFINITIONS)
    )


def public_definitions():
    """Return every public function and class by its dotted name, and whether it has an example."""
    found = {}
    for path in sorted((ROOT / "gan_convnorm").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, DEFINITIONS) and not node.name.startswith("_"):
                found[f"{module}.{node.name}"] = has_example(node)
    return found


def test_every_public_name_has_an_example():
    found = public_definitions()
    assert len(found) > 100
    bare = {name for name, shown in found.items() if not shown}
    without, needless = sorted(bare - set(EXEMPT)), sorted(set(EXEMPT) - bare)
    assert not without, "no example, and no leading underscore to say that one file alone uses them:\n" + "\n".join(
        without
    )
    assert not needless, "gone, or with an example by now; take them out of EXEMPT:\n" + "\n".join(needless)
