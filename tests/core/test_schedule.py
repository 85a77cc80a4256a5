"""Counts and shapes of the schedules."""

from dataclasses import replace
from itertools import pairwise

import pytest

from hicache_core import Settings, presets
from hicache_core.schedule import EXPECTED, FEWEST, GROWTH, POLICIES, SHORT, GapController, StepRange


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
    wanted = max(min(total, FEWEST), round(total / ratio))
    assert len(steps) == (total if total <= SHORT and 2 * wanted > total else wanted)
    assert steps[:head] == list(range(min(total, head)))
    assert len(set(steps)) == len(steps)
    assert all(0 <= k < total for k in steps)


def test_budget_leaves_equal_shares_of_the_density_between_computed_steps():
    density = tuple(0.01 + (k / 60) ** 2 for k in range(60))
    plan = POLICIES["budget"](presets.speed(5.0), StepRange(60, 0, 60, density))
    steps = sorted(plan.computed)
    shares = [sum(density[a + 1 : b + 1]) for a, b in pairwise(steps)]
    assert max(shares) - min(shares) <= 2 * max(density)
    gaps = [b - a for a, b in pairwise(steps)]
    assert gaps[0] > 3 * gaps[-1]


def test_the_few_steps_of_a_distilled_model_are_all_computed():
    plan = POLICIES["budget"](presets.speed(2.5), StepRange(4, 0, 4))
    assert plan.computed == {0, 1, 2, 3}
    assert plan.message == (
        "speed 2.5 is out of reach: 4 of 4 steps must be computed; forecasts gain nothing in so short a run"
    )


@pytest.mark.parametrize(
    ("total", "ratio", "calls"), [(6, 3.0, 6), (8, 1.5, 8), (8, 2.0, 4), (10, 1.9, 5), (11, 1.5, 7)]
)
def test_short_runs_are_computed_whole_unless_half_is_enough(total, ratio, calls):
    plan = POLICIES["budget"](presets.speed(ratio), StepRange(total, 0, total))
    assert len(plan.computed) == calls
    assert ("gain nothing in so short a run" in plan.message) == (calls == total)


def test_a_short_run_is_told_from_which_speed_on_less_is_computed():
    plan = POLICIES["budget"](presets.speed(1.5), StepRange(8, 0, 8))
    assert plan.message.endswith("in so short a run, but from speed 2 on 4 are enough")
    assert len(computed(presets.speed(2.0), 8)) == 4


def test_steps_computed_before_the_range_are_the_warm_up():
    steps = computed(presets.speed(2.5), 40, first=12)
    assert steps[:12] == list(range(12))
    assert steps[12] > 12
    assert len(steps) == 16


def test_long_runs_do_not_overflow():
    assert len(computed(presets.speed(2.0), 5000)) == 2500


def test_budget_says_what_it_cannot_reach():
    plan = POLICIES["budget"](presets.speed(5.0), StepRange(8, 0, 8))
    assert plan.message == (
        "speed 5 is out of reach: 4 of 8 steps must be computed; with fewer the picture changes too much"
    )
    plan = POLICIES["budget"](replace(presets.speed(5.0), warmup_steps=8), StepRange(20, 0, 20))
    assert plan.message == (
        "speed 5 is out of reach: 9 of 20 steps must be computed; lower warmup_steps, or widen start_percent and "
        "end_percent"
    )
    assert POLICIES["budget"](presets.speed(5.0), StepRange(50, 0, 50)).message == ""
    assert POLICIES["budget"](presets.speed(1.0), StepRange(4, 0, 4)).message == ""


@pytest.mark.parametrize("schedule", POLICIES)
def test_steps_outside_the_range_are_computed(schedule):
    settings = Settings(schedule=schedule, speed=5.0, interval=5, steps=(9,))
    steps = computed(settings, 40, first=6, stop=30)
    assert {*range(6), *range(30, 40)} <= set(steps)


def test_budget_counts_the_computed_steps_outside_its_range():
    assert len(computed(presets.speed(2.0), 40, first=5, stop=35)) == 20


@pytest.mark.parametrize("schedule", POLICIES)
def test_no_steps_is_no_work(schedule):
    assert computed(Settings(schedule=schedule, steps=(0,)), 0) == []


def test_listed_steps_are_computed_and_those_behind_the_end_are_named():
    settings = Settings(schedule="listed", steps=(0, 4, 8, 25, 30))
    assert computed(settings, 50) == [0, 4, 8, 25, 30]
    plan = POLICIES["listed"](settings, StepRange(20, 0, 20))
    assert plan.computed == {0, 4, 8}
    assert plan.message == "steps 25, 30 are listed, but the run has only 20 steps"


def test_adaptive_knows_only_its_head_beforehand():
    assert computed(Settings(schedule="adaptive", warmup_steps=3), 20) == [0, 1, 2]


def test_adaptive_with_zero_tolerance_computes_everything():
    assert computed(Settings(schedule="adaptive", tolerance=0.0), 20) == list(range(20))


def controller(tolerance=0.1, max_gap=20, order=1, total=60):
    return GapController(tolerance, max_gap, order, density=(0.5,) * total, moves=(0.1,) * total)


def test_the_controller_settles_where_the_error_meets_the_tolerance():
    """An error of k gap^(order + 1): the gap must converge to (tolerance / k)^(1 / p)."""
    control = controller(tolerance=0.08)
    gap, previous = 1.0, None
    for _ in range(40):
        error = 0.005 * gap**2
        gap, previous = control.next_gap(gap, error, previous or error), error
    assert gap == pytest.approx((0.08 / 0.005) ** 0.5, rel=0.02)


def test_the_controller_changes_a_gap_by_a_bounded_factor():
    assert controller().next_gap(5.0, 0.0, 0.0) == pytest.approx(5.0 * GROWTH)
    assert controller().next_gap(2.0, 1e9, 0.1) == pytest.approx(2.0 / GROWTH)


@pytest.mark.parametrize(
    ("error", "previous", "gap"), [(0.0, 0.0, 4.0 * GROWTH), (1.0, 0.0, 4.0 / GROWTH), (1.0, 1e308, 4.0 / GROWTH)]
)
def test_the_smallest_tolerance_there_is_still_has_gaps(error, previous, gap):
    assert controller(tolerance=5e-324).next_gap(4.0, error, previous) == pytest.approx(gap)


@pytest.mark.parametrize("tolerance", [0.001, 0.003, 0.05])
def test_the_first_gap_is_the_one_whose_expected_drift_meets_the_tolerance(tolerance):
    assert EXPECTED * controller(tolerance).first_gap ** 2 == pytest.approx(tolerance)


@pytest.mark.parametrize(("gap", "step"), [(0.1, 11), (1.0, 12), (1.4, 12), (1.5, 13), (100.0, 17)])
def test_a_gap_reaches_the_last_step_within_it_one_step_at_least_and_max_gap_at_most(gap, step):
    assert controller(max_gap=7).reach(10, gap) == step


def test_an_error_weighs_as_much_as_the_gap_moved():
    assert controller().length(10, 14) == pytest.approx(2.0)
    assert controller().drift(10, 14, error=0.5) == pytest.approx(0.2)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_planned_gap_is_judged_by_the_one_that_was_walked(order):
    control = controller(order=order)
    assert control.drift_of(2.0, 10, 14, error=0.5) == pytest.approx(0.2)
    assert control.drift_of(4.0, 10, 14, error=0.5) == pytest.approx(0.2 * 2.0 ** (order + 1))
    assert control.drift_of(4.0, 10, 10, error=0.5) == 0.0


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (Settings(schedule="interval", interval=3, warmup_steps=8), True),
        (Settings(schedule="interval", interval=1, warmup_steps=8), False),
        (Settings(schedule="interval", interval=3, warmup_steps=2), False),
        (Settings(schedule="budget", speed=1.0), False),
        (Settings(schedule="listed", steps=(0, 1, 2, 3, 4, 5, 6, 7)), True),
    ],
)
def test_a_plan_that_leaves_nothing_to_forecast_says_so(settings, says):
    message = "warm-up, range and schedule leave none of the 8 steps to forecast"
    assert (POLICIES[settings.schedule](settings, StepRange(8, 0, 8)).message == message) == says
