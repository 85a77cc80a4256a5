"""The adaptive decision, from errors we dictate."""

import itertools

import pytest

from hicache_core import Settings
from hicache_core.pace import Pace
from hicache_core.schedule import EXPECTED, POLICIES, StepRange


def adaptive_pace(total=60, **changes):
    settings = Settings(schedule="adaptive", order=1, **changes)
    return Pace(POLICIES["adaptive"](settings, StepRange(total, 0, total)), total)


def walk(pace, total, error_of_gap):
    """Computed steps, when a forecast over g steps has the error error_of_gap(g); each step moves by 1."""
    computed = []
    for step in range(total):
        if pace.must_compute(step):
            error = error_of_gap(step - computed[-1]) if len(computed) >= 2 else None
            pace.computed(step, error)
            computed.append(step)
    return computed


@pytest.mark.parametrize("gap", [2, 3, 5])
def test_gaps_settle_where_the_error_meets_the_tolerance(gap):
    computed = walk(adaptive_pace(total=120, tolerance=0.08), 120, lambda g: 0.08 * (g / (gap + 0.5)) ** 2 / g)
    gaps = [b - a for a, b in itertools.pairwise(computed)][:-1]
    assert set(gaps[-4:]) <= {gap, gap + 1}


def test_a_perfect_forecast_opens_the_gaps_to_their_limit():
    computed = walk(adaptive_pace(max_gap=6), 60, lambda g: 0.0)
    assert max(b - a for a, b in itertools.pairwise(computed)) == 6


def test_where_no_error_can_be_measured_the_gaps_are_those_expected_to_meet_the_tolerance():
    tolerance = EXPECTED * 2.1**2  # each step has a density of 1
    pace, computed = adaptive_pace(tolerance=tolerance), []
    for step in range(20):
        if pace.must_compute(step):
            pace.computed(step, None)
            computed.append(step)
    assert computed == list(range(0, 20, 2))


@pytest.mark.parametrize(("warmup", "first"), [(3, 0), (1, 5)])
def test_steps_that_must_be_computed_do_not_shorten_the_gap_to_come(warmup, first):
    tolerance = EXPECTED * 4.1**2 / 10.0
    settings = Settings(schedule="adaptive", tolerance=tolerance, warmup_steps=warmup)
    steps = StepRange(30, first, 30, density=(10**-0.5,) * 30, moves=(0.01,) * 30)
    head = first + warmup
    computed = walk(Pace(POLICIES["adaptive"](settings, steps), 30), 30, lambda gap: tolerance)
    assert computed[:head] == list(range(head))
    assert computed[head] >= head - 1 + 4


def test_a_useless_forecast_computes_everything():
    assert walk(adaptive_pace(), 30, lambda g: 10.0) == list(range(30))


def test_the_worst_of_several_evaluations_in_a_step_counts():
    pace = adaptive_pace(tolerance=0.05)
    for step in range(12):
        if pace.must_compute(step):
            pace.computed(step, 0.0)
            pace.computed(step, 1.0)
    assert pace.must_compute(12)
