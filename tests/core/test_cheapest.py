"""The cheapest plan, against a search that leaves nothing out."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hicache_core.cheapest import LAST, cheapest

# Some steps have no density, and some the same.
DENSITIES = st.lists(st.floats(0.0, 1.0).map(lambda step: round(step, 2)), min_size=1, max_size=16)


def gap(density, start, end):
    """What the steps between two computed ones cost, by the formula of the module."""
    ahead = [*density[1:], density[-1]]
    whole = sum(sum(density[start + 1 : k + 1]) * ahead[k] for k in range(start + 1, end))
    return LAST * whole if end == len(density) else whole


def cost(density, computed):
    return sum(gap(density, start, end) for start, end in pairwise([*computed, len(density)]))


def least_cost(density, calls, forced):
    """Of all plans: by the last computed step and the number of them."""
    costs = {(0, 1): 0.0}
    for end in range(1, len(density) + 1):
        for start in range(max((k for k in forced if k < end), default=0), end):
            for count in range(1, calls + 1):
                if (start, count) in costs:
                    key = end, count + (end < len(density))
                    whole = costs[start, count] + gap(density, start, end)
                    costs[key] = min(whole, costs.get(key, whole))
    return costs[len(density), calls]


@given(density=DENSITIES, data=st.data())
def test_no_plan_with_as_many_calls_costs_less(density, data):
    forced = data.draw(st.sets(st.integers(0, len(density) - 1), max_size=3), label="forced")
    fewest = len({0, *forced})
    calls = data.draw(st.integers(fewest, len(density)), label="calls")
    plan = cheapest(density, calls, forced)
    assert plan == sorted(set(plan))
    assert len(plan) == calls
    assert {0, *forced} <= set(plan)
    assert cost(density, plan) == pytest.approx(least_cost(density, calls, {0, *forced}), rel=1e-6, abs=1e-6)


def test_more_forced_steps_than_calls_are_all_computed():
    assert cheapest([1.0] * 9, 2, {3, 5, 8}) == [0, 3, 5, 8]


def test_no_more_steps_are_computed_than_there_are():
    assert cheapest([1.0] * 3, 7) == [0, 1, 2]
    assert cheapest([], 4) == []


def test_gaps_grow_evenly_where_the_density_falls():
    gaps = [b - a for a, b in pairwise(cheapest([1.0 / (1.0 + k) ** 1.4 for k in range(50)], 12))]
    assert gaps == sorted(gaps)
    assert gaps[0] == 1


def test_where_the_density_is_high_every_step_is_computed():
    assert cheapest([1.0] * 20 + [50.0] * 3, 7)[-4:] == [19, 20, 21, 22]


def test_without_any_density_steps_are_spread_evenly():
    plan = cheapest([0.0] * 50, 12)
    assert plan == cheapest([1.0] * 50, 12)
    assert {b - a for a, b in pairwise(plan)} <= {4, 5}


def test_what_dense_steps_cannot_take_goes_to_those_without_density():
    assert set(cheapest([0.0] * 10 + [1.0] * 2, 7)) >= {9, 10, 11}
    assert len(cheapest([0.0] * 30 + [1.0], 12)) == 12


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_density_that_is_no_number_hangs_nothing(value):
    assert cheapest([1.0, value, *[1.0] * 20], 6) == cheapest([1.0] * 22, 6)
