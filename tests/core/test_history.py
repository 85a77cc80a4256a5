import math

import pytest
import torch

from hicache_core.basis import BasisOptions, lagrange
from hicache_core.history import Anchor, History, measure


def anchor(position, value, magnitude=None):
    tensor = torch.full((2, 3), float(value))
    return Anchor(position, tensor, abs(value) if magnitude is None else magnitude)


def history(*anchors, keep=3):
    result = History(signature="s")
    for a in anchors:
        result.add(a, keep)
    return result


def test_it_keeps_the_newest_and_counts_their_bytes():
    kept = history(*(anchor(k, k) for k in range(5)))
    assert [a.position for a in kept.anchors] == [2, 3, 4]
    assert kept.nbytes == 3 * 6 * 4


def test_an_anchor_at_the_same_position_replaces_the_last():
    kept = history(anchor(0, 1.0), anchor(1, 2.0), anchor(1, 5.0))
    assert [a.magnitude for a in kept.anchors] == [1.0, 5.0]


def test_combine_follows_the_line():
    line = history(anchor(0, 10.0), anchor(2, 14.0))
    weights = line.weights(5.0, lagrange, BasisOptions(order=1))
    assert torch.allclose(line.combine(weights), torch.full((2, 3), 20.0))


def test_bound_is_an_upper_bound_in_units_of_the_newest():
    series = history(anchor(0, 8.0), anchor(1, -4.0))
    weights = [-3.0, 4.0]
    assert series.bound(weights) == pytest.approx((3 * 8 + 4 * 4) / 4)
    assert series.combine(weights).abs().max() <= 4 * series.bound(weights)


def test_bound_of_zeros():
    assert history(anchor(0, 0.0), anchor(1, 0.0)).bound([-1.0, 2.0]) == 1.0
    assert history(anchor(0, 3.0), anchor(1, 0.0)).bound([-1.0, 2.0]) == math.inf


def test_measure_magnitudes_and_relative_error():
    actual = [torch.tensor([3.0, -4.0]), torch.tensor([1.0, 1.0])]
    magnitudes, error = measure(actual, [torch.tensor([3.0, -3.0]), None])
    assert magnitudes == [4.0, 1.0]
    assert error == pytest.approx(math.sqrt(1.0 / 25.0))
    assert measure(actual, [None, None])[1] is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_measure_shows_what_is_not_finite(bad):
    magnitudes, _ = measure([torch.tensor([1.0, bad])], [None])
    assert not math.isfinite(magnitudes[0])
