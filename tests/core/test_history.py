import math

import pytest
import torch

from hicache_core import OUTPUT
from hicache_core.basis import BasisOptions, hermite, lagrange
from hicache_core.history import Anchor, History, Series, TrendScale


def anchor(position, value, magnitude=None):
    tensor = torch.full((2, 3), float(value))
    return Anchor(position, {OUTPUT: tensor}, {OUTPUT: abs(value) if magnitude is None else magnitude})


def history(*anchors, keep=3):
    result = History(signature="s")
    for a in anchors:
        result.add(a, keep)
    return result


def test_it_keeps_the_newest():
    kept = history(*(anchor(k, k) for k in range(5)))
    assert [a.position for a in kept.anchors] == [2, 3, 4]


def test_an_anchor_at_the_same_position_replaces_the_last():
    kept = history(anchor(0, 1.0), anchor(1, 2.0), anchor(1, 5.0))
    assert [a.magnitudes[OUTPUT] for a in kept.anchors] == [1.0, 5.0]


def test_room_is_made_for_a_later_anchor_only():
    kept = history(*(anchor(k, k) for k in range(3)))
    kept.make_room(2, keep=3)
    assert [a.position for a in kept.anchors] == [0, 1, 2]
    kept.make_room(3, keep=3)
    assert [a.position for a in kept.anchors] == [1, 2]


@pytest.mark.parametrize("slot", [OUTPUT, "another"])
def test_other_shapes_or_slots_start_a_new_series(slot):
    kept = history(anchor(0, 1.0), anchor(1, 2.0))
    kept.add(Anchor(2, {slot: torch.ones(4)}, {slot: 1.0}), keep=3)
    assert [a.position for a in kept.anchors] == [2]


def test_a_series_follows_the_line():
    line = history(anchor(0, 10.0), anchor(2, 14.0)).series(5.0, lagrange, BasisOptions(order=1))
    assert torch.allclose(line.combine(OUTPUT), torch.full((2, 3), 20.0))
    assert line.like("another") is None


def test_bound_is_an_upper_bound_in_units_of_the_newest():
    anchors = (anchor(0, 8.0), anchor(1, -4.0))
    series = Series(anchors, {OUTPUT: [-3.0, 4.0]})
    assert series.bound == pytest.approx((3 * 8 + 4 * 4) / 4)
    assert series.combine(OUTPUT).abs().max() <= 4 * series.bound


def test_the_worst_slot_sets_the_bound():
    two = Anchor(0, {"a": torch.ones(1), "b": torch.ones(1)}, {"a": 1.0, "b": 1.0})
    assert Series((two, two), {"a": [0.0, 1.0], "b": [-2.0, 3.0]}).bound == 5.0


def test_bound_of_zeros():
    assert Series((anchor(0, 0.0), anchor(1, 0.0)), {OUTPUT: [-1.0, 2.0]}).bound == 1.0
    assert Series((anchor(0, 3.0), anchor(1, 0.0)), {OUTPUT: [-1.0, 2.0]}).bound == math.inf


def test_the_analytic_contraction_follows_the_size_of_the_trend():
    trend = TrendScale()
    assert trend.contraction == pytest.approx(1.28 / math.sqrt(2.0), rel=1e-5)  # q is 1 before anything is measured
    trend.update(4.0)
    assert trend.contraction == pytest.approx(1.28 / (math.sqrt(2.0) * 4.0), rel=1e-5)
    trend.update(2.0)
    assert trend.mean_square == pytest.approx(0.99 * 16.0 + 0.01 * 4.0)
    small = TrendScale()
    small.update(1e-9)
    assert small.contraction == 1.0


def test_each_layer_has_its_own_contraction():
    def layers(position, value):
        tensors = {slot: torch.full((1,), value) for slot in ("0.a", "0.b", "1.a")}
        return Anchor(position, tensors, dict.fromkeys(tensors, value))

    kept = history(layers(0, 1.0), layers(1, 2.0))
    kept.follow_trend("0.a", 1.0)
    kept.follow_trend("0.b", 1.0)
    options = BasisOptions(order=1, contraction=0.3)
    weights = kept.series(3.0, hermite, options).weights
    c = kept.trends["0"].contraction
    assert weights["0.a"] == weights["0.b"] == hermite([0, 1], 3.0, BasisOptions(order=1, contraction=c))
    assert weights["1.a"] == hermite([0, 1], 3.0, options)
