"""Counts and shapes of the schedules."""

from itertools import pairwise

import pytest

from hicache_core import Settings, presets
from hicache_core.schedule import POLICIES, GapController, StepRange, growing_gaps


def computed(settings, total, first=0, stop=None):
    steps = StepRange(total, first, total if stop is None else stop)
    return sorted(POLICIES[settings.schedule](settings, steps).computed)


@pytest.mark.parametrize(("n", "count"), [(3, 18), (4, 14), (5, 12), (6, 10), (7, 9), (8, 8), (10, 7)])
def test_interval_counts_of_the_paper(n, count):
    assert len(computed(Settings(schedule="interval", interval=n, warmup_steps=3), 50)) == count


def test_interval_seven_is_the_papers_list():
    steps = computed(Settings(schedule="interval", interval=7, warmup_steps=3), 50)
    assert steps == [0, 1, 2, 9, 16, 23, 30, 37, 44]


def test_interval_one_computes_everything():
    assert computed(Settings(schedule="interval", interval=1), 20) == list(range(20))


@pytest.mark.parametrize("total", [1, 2, 3, 4, 8, 20, 28, 50, 100])
@pytest.mark.parametrize("ratio", [1.0, 1.3, 2.0, 2.5, 3.3, 5.0, 10.0])
def test_budget_reaches_the_speed_after_its_head(total, ratio):
    settings = presets.speed(ratio)
    steps = computed(settings, total)
    head = settings.warmup_steps
    assert len(steps) == max(min(total, head + 1), round(total / ratio))
    assert steps[:head] == list(range(min(total, head)))
    assert len(set(steps)) == len(steps)
    assert all(0 <= k < total for k in steps)


def test_budget_gaps_grow_and_the_tail_is_no_sparser_than_the_last_gap_warrants():
    steps = [*computed(Settings(speed=5.0, growth=1.15), 50), 50]
    gaps = [b - a for a, b in pairwise(steps[2:])]
    assert all(b >= a - 1 for a, b in pairwise(gaps))
    assert gaps[-1] <= 1.5 * gaps[-2]


def test_steps_computed_before_the_range_are_the_warm_up():
    steps = computed(presets.speed(2.5), 40, first=12)
    assert steps[:12] == list(range(12))
    assert steps[12] > 12
    assert len(steps) == 16


def test_long_runs_do_not_overflow():
    assert len(computed(Settings(speed=2.0, growth=2.0), 5000)) == 2500


def test_budget_says_what_it_cannot_reach():
    plan = POLICIES["budget"](presets.speed(5.0), StepRange(8, 0, 8))
    assert plan.message.startswith("speed 5 is out of reach: 4 of 8 steps must be computed; sample more steps")
    assert POLICIES["budget"](presets.speed(5.0), StepRange(50, 0, 50)).message == ""
    assert POLICIES["budget"](presets.speed(1.0), StepRange(4, 0, 4)).message == ""


def test_growth_one_spreads_evenly():
    steps = growing_gaps(50, 12, warmup=2, growth=1.0)
    gaps = {b - a for a, b in pairwise(steps[1:])}
    assert gaps <= {4, 5}


@pytest.mark.parametrize("schedule", POLICIES)
def test_steps_outside_the_range_are_computed(schedule):
    settings = Settings(schedule=schedule, speed=5.0, interval=5)
    steps = computed(settings, 40, first=6, stop=30)
    assert {*range(6), *range(30, 40)} <= set(steps)


def test_budget_counts_the_computed_steps_outside_its_range():
    assert len(computed(presets.speed(2.0), 40, first=5, stop=35)) == 20


@pytest.mark.parametrize("schedule", POLICIES)
def test_no_steps_is_no_work(schedule):
    assert computed(Settings(schedule=schedule), 0) == []


def test_adaptive_protects_head_and_last_step():
    assert computed(Settings(schedule="adaptive", warmup_steps=3), 20) == [0, 1, 2, 19]


def test_adaptive_with_zero_tolerance_computes_everything():
    assert computed(Settings(schedule="adaptive", tolerance=0.0), 20) == list(range(20))


def test_the_controller_settles_where_the_error_meets_the_tolerance():
    """A model error of k gap^(order + 1): the gap must converge to (tolerance / k)^(1 / p)."""
    control = GapController(tolerance=0.08, max_gap=20, order=1)
    gap, previous = 1.0, None
    for _ in range(40):
        error = 0.005 * gap**2
        gap, previous = control.next_gap(gap, error, previous or error), error
    assert gap == pytest.approx((0.08 / 0.005) ** 0.5, rel=0.02)


def test_the_controller_is_bounded():
    control = GapController(tolerance=0.1, max_gap=6, order=2)
    assert control.next_gap(5.0, 0.0, 0.0) == 6.0
    assert control.next_gap(2.0, 1e9, 0.1) == 1.0
