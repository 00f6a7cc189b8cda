"""Curves of one run: the losses' smoothing, the layers' colours."""

import pytest

from gan_convnorm.report import run_curves
from gan_convnorm.report.run_curves import draw_operator_sizes, smooth


@pytest.mark.parametrize(("count", "width"), [(1, 1), (15, 1), (40, 4), (1000, 20)])
def test_a_loss_is_the_mean_of_the_last_tenth_of_the_curve(count, width):
    points = [(7 * i, float((i * 37) % 11)) for i in range(count)]
    values = [value for _, value in points]
    found = smooth(points)
    assert [step for step, _ in found] == [step for step, _ in points]
    for i, (_, value) in enumerate(found):
        near = values[max(0, i - width + 1) : i + 1]  # fewer at the start, and none from the future
        assert value == pytest.approx(sum(near) / len(near))


def test_a_curve_without_points_stays_empty():
    assert smooth([]) == []


def test_a_layer_has_one_colour_in_all_panels(monkeypatch):
    """Also where a layer before it has no condition number."""
    seen = []
    monkeypatch.setattr(run_curves, "encode", lambda figure, dpi: seen.append(figure) or b"")
    row = {"step": "1", **{f"layers/{name}/operator_norm": "2.0" for name in "ab"}, "layers/b/condition_number": "3.0"}
    draw_operator_sizes([row])
    norms, conditions = (axes.get_lines() for axes in seen[0].axes)
    assert [line.get_label() for line in conditions] == ["b"]
    assert conditions[0].get_color() == norms[1].get_color() != norms[0].get_color()
