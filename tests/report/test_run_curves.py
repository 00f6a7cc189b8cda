"""Curves of one run: the losses' smoothing."""

import pytest

from gan_convnorm.report.run_curves import smooth


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
