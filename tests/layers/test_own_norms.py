"""Normalizations from a file of your own, by their path."""

import re
import sys
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn
from torch.nn.utils import parametrize

from gan_convnorm.cli import main
from gan_convnorm.errors import BadInput
from gan_convnorm.layers import NORMS, convert, find_normalization

ROOT = Path(__file__).parents[2]


OWN = """
import torch
from torch import nn
from torch.nn.utils import parametrize
from gan_convnorm.layers import Norm

LIMIT = 3


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, weight):
        return weight * self.factor / weight.norm()


class MyNorm:
    @staticmethod
    def conv(conv, *, factor=2.0):
        parametrize.register_parametrization(conv, "weight", Scaled(factor))
        return conv

    linear = conv


def of_a_convolution(conv, *, factor=2.0):
    return MyNorm.conv(conv, factor=factor)


row = Norm(activation=nn.BatchNorm2d)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "my_norm.py").write_text(OWN)
    (tmp_path / "needs_more.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("my_norm", "documented"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_a_norm_from_another_module(own):
    norm = find_normalization("my_norm:MyNorm", {"factor": 3.0})
    for layer in (norm.conv(nn.Conv2d(3, 4, 3)), norm.linear(nn.Linear(3, 4))):
        assert layer.weight.norm().item() == pytest.approx(3, rel=1e-6)
    function = find_normalization("my_norm:of_a_convolution")
    assert function.conv(nn.Conv2d(3, 4, 3)).weight.norm().item() == pytest.approx(2, rel=1e-6)
    assert not parametrize.is_parametrized(function.linear(nn.Linear(3, 4)))
    assert isinstance(find_normalization("my_norm:row").activation(4), nn.BatchNorm2d)
    converted, _ = convert(nn.Sequential(nn.Conv2d(3, 4, 3)), "my_norm:MyNorm")
    assert converted[0].weight.norm().item() == pytest.approx(2, rel=1e-6)


def test_the_norm_of_the_documentation(own):
    (own / "documented.py").write_text(
        re.search(r"```python\n(.*?)```", (ROOT / "docs/norms.md").read_text(), re.DOTALL)[1]
    )
    norm = find_normalization("documented:MyNorm", {"map": "cayley"})
    rows = norm.linear(nn.Linear(5, 3)).weight
    assert torch.allclose(rows @ rows.T, torch.eye(3), atol=1e-6)
    assert norm.conv(nn.Conv2d(2, 3, 3))(torch.randn(1, 2, 5, 5)).shape == (1, 3, 3, 3)
    assert all(f"| `{name}` |" in (ROOT / "docs/norms.md").read_text() for name in NORMS)


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("no_such_module:Norm", {}, "importing 'no_such_module' failed .*PYTHONPATH"),
        ("needs_more:Norm", {}, "importing 'needs_more' failed .*no_such_package"),
        (":Norm", {}, "importing '' failed"),
        (".relative:Norm", {}, "importing '.relative' failed"),
        ("my_norm:Absent", {}, "my_norm has no 'Absent'; it has: .*MyNorm"),
        ("my_norm:", {}, "my_norm has no ''"),
        ("my_norm:LIMIT", {}, "is a int; expected a Norm"),
        ("my_norm:MyNorm", {"scale": 1}, "no option 'scale'; it takes: factor"),
    ],
)
def test_a_norm_that_is_not_there_is_one_line(own, path, options, message):
    with pytest.raises(BadInput, match=message) as error:
        find_normalization(path, options)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_the_command_line_takes_a_norm_from_a_file(own, capsys):
    """One file, no change of this package."""
    words = ["--steps", "2", "--width", "0.05", "--batch-size", "8", "--num-fake", "20", "--out", str(own / "run")]
    main(["--disc-norm", "my_norm:MyNorm", *words])
    assert (
        yaml.safe_load((own / "run/config.yaml").read_text())["model"]["architecture"]["disc_norm"] == "my_norm:MyNorm"
    )
    state = torch.load(own / "run/last.ckpt", weights_only=True)["state_dict"]
    factors = [value for key, value in state.items() if key.endswith("parametrizations.weight.0.factor")]
    assert len(factors) == 11
    assert any(value != 2 for value in factors)
    with pytest.raises(SystemExit) as stop:
        main(["--disc-norm", "my_norm:Absent", "--out", str(own / "refused")])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: norm 'my_norm:Absent': my_norm has no 'Absent'; it has: ")


def test_hints_that_are_for_type_checkers_alone(tmp_path, monkeypatch):
    (tmp_path / "hinted.py").write_text(
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from torch import nn\n\n"
        "class Norm:\n    @staticmethod\n    def conv(conv: nn.Conv2d, *, scale: float = 1.0) -> nn.Module:\n"
        "        return conv\n    linear = conv\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    layer = nn.Conv2d(3, 8, 3)
    assert find_normalization("hinted:Norm", {"scale": 2.0}).conv(layer) is layer
