"""The pages that docs/site makes for the documentation site; .ci/run builds the site itself."""

import ast
import re
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("mkdocs", reason="pip install -e '.[docs]'")
griffe = pytest.importorskip("griffe", reason="pip install -e '.[docs]'")

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs/site"))
try:
    import docstring_examples
    import generated_pages
    import repository_links
finally:
    sys.path.remove(str(ROOT / "docs/site"))


def test_the_command_line_has_every_verb():
    modules = [path for path in (ROOT / "gan_convnorm/cli").glob("*.py") if path.stem not in ("__init__", "gan")]
    own = {
        path.stem
        for path in modules
        if any(getattr(node, "name", "") == "main" for node in ast.parse(path.read_text(encoding="utf-8")).body)
    }
    assert own - {"study_worker"} <= set(generated_pages.VERBS)
    page = generated_pages.command_line()
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == list(generated_pages.VERBS)
    assert page.count("usage: gan-convnorm") == len(generated_pages.VERBS)
    assert "--disc-norm" in page and re.search("--ckpt[-_]path", page)


def test_the_configuration_has_every_key():
    from gan_convnorm.data import DATA
    from gan_convnorm.gan import Architecture, Optimization

    page = generated_pages.configuration()
    for field in (*fields(Architecture), *fields(Optimization)):
        assert re.search(rf"^\| `{field.name}` \| .+ \| .* \| .* \|$", page, re.MULTILINE), field.name
    assert all(f"### `{name}`" in page for name in DATA)
    assert "| `n_dis` | discriminator steps per generator step. | `1` | `--n-dis` |" in page
    assert not re.search(r"^\| `\w+` \|  \|", page, re.MULTILINE), "a key without a description"


def test_the_reference_has_every_room_but_those_without_an_interface():
    rooms = generated_pages.rooms()
    assert {"layers", "operators", "data", "images", "files", "errors", "random_streams"} <= set(rooms)
    assert not set(rooms) & set(generated_pages.NOT_PYTHON)
    import gan_convnorm.layers

    names = generated_pages.public_names("layers")
    assert {name.rpartition(".")[2] for name in names} == set(gan_convnorm.layers.__all__)
    assert "gan_convnorm.layers.aol.aol" in names  # the function, not the module


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("scores.md", "[a](data.md#arrays)", "[a](data.md#arrays)"),
        ("training.md", "[a](../SECURITY.md)", "[a](project/security.md)"),
        ("learn/start.md", "[a](../study.md)", "[a](../study.md)"),
        ("project/architecture.md", "[a](docs/norms.md)", "[a](../norms.md)"),
        ("project/security.md", "[a](docs/results)", "[a](../results/README.md)"),
        ("tutorial_new_network.md", "[`a.py`](../gan_convnorm/a.py)", "`a.py`"),
        ("index.md", "[a](https://example.org)", "[a](https://example.org)"),
        ("index.md", "![a](x.png)", "![a](x.png)"),
        ("learn/start.md", "![a](../figures/x.png)", "![a](../figures/x.png)"),
        ("zoo.md", "![a, b](../checkpoints/c/samples.png)", "![a, b](project/checkpoints/c/samples.png)"),
        ("index.md", "```\n[a](../SECURITY.md)\n```", "```\n[a](../SECURITY.md)\n```"),
    ],
)
def test_links_out_of_the_docs_lead_to_pages(page, link, expected):
    place = SimpleNamespace(file=SimpleNamespace(src_uri=page))
    assert repository_links.on_page_markdown(link, place, None, None) == expected


def test_the_site_has_the_zoo_s_pictures():
    files = []
    config = SimpleNamespace(site_dir="site", use_directory_urls=True, plugins=SimpleNamespace(_current_plugin=None))
    repository_links.on_files(files, config)
    shown = set(re.findall(r"!\[[^]]*\]\(\.\./([^)]+)\)", (ROOT / "docs/zoo.md").read_text(encoding="utf-8")))
    assert shown and {f"project/{name}" for name in shown} <= {file.src_uri for file in files}


def test_examples_of_docstrings_are_code():
    text = "Return one.\n\n>>> one()\n1\n>>> two()\n2\n\nArgs:\n    x: a number.\n"
    fenced = docstring_examples.EXAMPLE.sub(docstring_examples.fenced, text)
    assert fenced == "Return one.\n\n```pycon\n>>> one()\n1\n>>> two()\n2\n```\n\nArgs:\n    x: a number.\n"
    sections = griffe.Docstring(fenced, parser="google").parse(warnings=False)
    assert [section.kind.value for section in sections] == ["text", "parameters"]
