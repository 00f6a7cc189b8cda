"""Which runs a study's file asks for, and files that are refused."""

import math
import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml
from small_studies import STUDY, written

from gan_convnorm.errors import BadInput
from gan_convnorm.study import read_study

ROOT = Path(__file__).parents[2]


def test_points_are_every_combination_with_its_configuration(tmp_path):
    definition = read_study(written(tmp_path))
    points = definition.points()
    assert [(p.grid, p.norm, p.seed, p.n_dis, p.learning_rate) for p in points] == [
        *[("main", norm, seed, None, None) for seed in range(3) for norm in ("none", "spectral")],
        *[("rates", "spectral", 0, n_dis, rate) for rate in (0.001, 0.01) for n_dis in (1, 2)],
    ]
    assert points[-1].config == {
        "seed_everything": 0,
        "model": {
            "architecture": {"width": 0.05, "disc_norm": "spectral", "disc_norm_options": {"n_power_iterations": 2}},
            "optimization": {"steps": 20, "n_dis": 2, "gen_lr": 0.01, "disc_lr": 0.01},
        },
        "scores": {"num_fake": 40},
    }
    assert len({p.name for p in points}) == len(points)
    changed = read_study(written(tmp_path, config={"model": {"optimization": {"steps": 21}}})).points()
    assert not {p.name for p in points} & {p.name for p in changed}  # another run


def test_the_words_of_a_command_line_are_part_of_a_run(tmp_path):
    definition = read_study(written(tmp_path))
    none, one, other = (replace(definition, words=words) for words in ((), ("--steps", "9"), ("--steps", "8")))
    assert (
        len(none.keys() | one.keys() | other.keys()) == 3 * len(definition.points())
        and none.keys() == definition.keys()
    )
    assert not {p.name for p in one.for_smoke().points()} & {p.name for p in other.for_smoke().points()}
    with pytest.raises(BadInput, match="words"):  # which a file does not give
        read_study(written(tmp_path, words=["--steps", "9"]))


def test_a_norm_s_options_do_not_shine_through(tmp_path):
    grid = {"seed": [0], "config": {"model": {"architecture": {"disc_norm_options": {"eps": 1.0}}}}}
    points = read_study(written(tmp_path, grids={"main": grid})).points()
    assert points[1].config["model"]["architecture"]["disc_norm_options"] == {"n_power_iterations": 2}
    # Another norm's options are no options of one that has none.
    convnorm = {"model": {"architecture": {"disc_norm": "convnorm", "disc_norm_options": {"gain": "lipschitz"}}}}
    norms = {"none": {"model": {"architecture": {"disc_norm": "none"}}}, "spectral": {}}
    for point in read_study(written(tmp_path, norms=norms, config=convnorm, grids={"main": {"seed": [0]}})).points():
        options = point.config["model"]["architecture"].get("disc_norm_options")
        assert options == (None if point.norm == "none" else {"gain": "lipschitz"})


def test_a_smoke_run_has_first_and_last_levels_and_few_steps(tmp_path):
    long = {"model": {"architecture": {"disc_norm": "spectral"}, "optimization": {"steps": 30}}}
    definition = read_study(written(tmp_path, norms={**STUDY["norms"], "spectral": long})).for_smoke()
    assert definition.name == "small-smoke"
    assert [(grid.seed, grid.norm) for grid in definition.grids.values()] == [
        ([0, 2], ["none", "spectral"]),
        ([0], ["spectral"]),
    ]
    assert {p.config["model"]["optimization"]["steps"] for p in definition.points()} == {2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseline": "spectrum"}, "the baseline is 'spectrum'; the norms are: none, spectral"),
        ({"baseline": ["none"]}, r"the baseline is \['none'\]; the norms are: none, spectral"),
        ({"grids": {}}, "there is no grid"),
        (
            {"grids": {"main": {"seed": [0], "norm": ["nome"]}}},
            "grid main has norm 'nome'; choose one of: none, spectral",
        ),
        ({"grids": {"main": {"seed": [0], "norm": "none"}}}, "grid main has norm 'none'; expected a list, such as"),
        (
            {"grids": {"main": {"seed": [0], "norm": [["none"]]}}},
            r"grid main has norm \['none'\]; choose one of: none, spectral",
        ),
        ({"grids": {"main": {"seed": 5}}}, r"grid main has seed 5; expected a list, such as \[5\]"),
        ({"grids": {"main": {"seeds": 5}}}, "grid main has the key 'seeds'; the keys are: config, learning_rate, "),
        ({"grids": {"main": {"seed": None}}}, "grid main has no seed"),
        ({"grids": {"main": {"seed": [-1]}}}, "grid main has seed -1; expected whole numbers from 0 to 4294967295"),
        ({"grids": {"main": {"seed": [2**32]}}}, "grid main has seed 4294967296; expected"),
        ({"grids": {"main": {"seed": [True]}}}, "grid main has seed True; expected"),
        ({"grids": {"main": {"seed": [0.5]}}}, "grid main has seed 0.5; expected"),
        ({"grids": {"main": {"seed": [0], "n_dis": [0]}}}, "grid main has n_dis 0; expected whole numbers of 1"),
        ({"grids": {"main": {"seed": [0], "learning_rate": [math.nan]}}}, "grid main has learning_rate nan; expected"),
        ({"grids": {"main": {"seed": [0], "learning_rate": [math.inf]}}}, "grid main has learning_rate inf; expected"),
        ({"grids": {"main": {"seed": [0], "learning_rate": [-1e-3]}}}, "grid main has learning_rate -0.001; expected"),
        ({"grids": {"main": {"seed": [0], "learning_rate": ["fast"]}}}, "grid main has learning_rate 'fast'; expected"),
        ({"grids": {"main": {"seed": [0], "learning_rate": [0.1, "1e-1"]}}}, "expected values, each once"),
        ({"grids": {"main": [0]}}, r"grid main is \[0\]; expected a mapping"),
        ({"grids": {"../x": {"seed": [0]}}}, r"a grid's name is '\.\./x'; expected letters"),
        ({"grids": {"main": {"seed": list(range(300)), "n_dis": list(range(1, 300))}}}, "the grids have 179400 runs"),
        ({"name": ".."}, r"the name is '\.\.'"),
        ({"name": "../x"}, r"the name is '\.\./x'"),
        ({"name": "a\nb"}, "the name is"),
        ({"name": "-x"}, "the name is '-x'"),
        ({"name": 5}, "the name is 5"),
        ({"name": "é" * 31}, "the name is"),
        ({"nam": "x"}, "the study has the key 'nam'; the keys are: baseline, config, grids, name, norms, smoke"),
        ({"norms": {}}, "there is no norm"),
        ({"norms": {"a|b": {}}}, r"a norm's name is 'a\|b'"),
        ({"norms": {1.4: {}}}, "a norm's name is 1.4"),
        ({"norms": {"spectral": 5}}, "the norm 'spectral' is 5; expected a mapping"),
        ({"config": [1]}, r"config is \[1\]; expected a mapping"),
        (
            {"config": {"model": {"optimization": {"steps": date(2020, 1, 1)}}}},
            "it holds more than numbers, text, lists",
        ),
        ({"grids": {"main": {"seed": []}}}, r"grid main has seed \[\]"),
        ({"grids": {"main": {"seed": [1, 1]}}}, r"grid main has seed \[1, 1\]; expected values, each once"),
        ({"grids": {"main": {"seed": ["x"]}}}, "seed"),
        ({"grids": {"main": {"seeds": [1]}}}, "seeds"),
        ({"norm": {"none": {"model": {"architecture": {"disc_norm": "none"}}}}}, "norm"),
        ({"name": "a/b"}, "the name is 'a/b'"),
    ],
)
def test_a_bad_plan_is_one_line(tmp_path, changes, message):
    with pytest.raises(BadInput, match=message) as caught:
        read_study(written(tmp_path, **changes))
    assert "\n" not in str(caught.value) and "definition.yaml" in str(caught.value)


def test_a_file_that_is_no_plan_is_one_line(tmp_path):
    with pytest.raises(BadInput, match="there is no study"):
        read_study(tmp_path / "definition.yaml")
    bomb = "a: &a0 [1]\n" + "\n".join(f"b{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40))
    for text, message in (
        ("- a", "expected a mapping"),
        ("a: [", "is not YAML"),
        (bomb, "repeats 1000000000 values by aliases"),
        ("name: a\nname: b", "line 2 of .*definition.yaml has the key 'name' again"),
    ):
        (tmp_path / "definition.yaml").write_text(text)
        with pytest.raises(BadInput, match=message):
            read_study(tmp_path / "definition.yaml")


def test_a_pipe_is_no_study(tmp_path):
    os.mkfifo(tmp_path / "definition.yaml")
    with pytest.raises(BadInput, match=r"definition\.yaml is no regular file"):
        read_study(tmp_path / "definition.yaml")


def test_learning_rates_as_a_person_writes_them(tmp_path):
    (tmp_path / "definition.yaml").write_text(
        "name: a\nbaseline: n\nnorms: {n: {}}\ngrids: {g: {seed: [0], learning_rate: [1e-3, 1, 0.5]}}"
    )
    assert [p.learning_rate for p in read_study(tmp_path / "definition.yaml").points()] == [0.001, 1.0, 0.5]


def test_the_shipped_studies_are_plans():
    for path in (ROOT / "configs/studies").glob("*.yaml"):
        definition = read_study(path)
        points = [*definition.points(), *definition.for_smoke().points()]
        assert all(yaml.safe_load(yaml.safe_dump(point.config)) == point.config for point in points)
        assert len({point.name for point in points}) == len(points)
