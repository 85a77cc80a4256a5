"""What *target speed* computes agrees with what searches found for real models."""

from pathlib import Path

import pytest

from hicache_core import Settings
from hicache_core.schedule import FEWEST, SHORT, budget
from hicache_core.steps import step_range


@pytest.fixture
def schedules(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import schedules

    return schedules


@pytest.fixture
def published(schedules):
    return schedules.real.schedules()


def test_the_published_schedules_are_read(schedules, published):
    assert {one.group for one in published} == set(schedules.GROUPS)
    for one in published:
        assert list(one.computed) == sorted({*one.computed, *one.forced})
        assert one.computed[-1] < one.steps
        assert list(one.sigmas) == sorted(one.sigmas, reverse=True)
    rows = schedules.real._rows()
    assert [len((row["computed_steps"] or row["noise_levels"]).split()) for row in rows] == [
        int(row["calls"]) for row in rows
    ]


def test_noise_levels_are_those_of_the_rule(schedules):
    assert schedules.real.noise_levels("shift 3", 4) == pytest.approx([1.0, 0.9, 0.75, 0.5, 0.0])
    assert schedules.real.noise_levels("mu 0 to .1", 4) == pytest.approx([1.0, 0.7, 0.4, 0.1, 0.0])
    assert schedules.real.noise_levels("shift 1 from .8", 2) == pytest.approx([0.8, 0.4, 0.0])


def test_ours_is_near_to_the_searches(schedules, published):
    for group, limit in schedules.LIMITS.items():
        theirs = schedules.of_group(published, group)
        ours = schedules.mean_misfit(schedules.shipped, theirs)
        assert ours <= limit, group
        assert ours < schedules.mean_misfit(schedules.BRIEF["even steps"], theirs) / 2, group


def test_a_schedule_has_no_misfit_with_itself(schedules, published):
    for one in published:
        assert schedules.misfit(one.computed, one.computed) == 0.0
    assert schedules.misfit((0, 1, 5), (0, 3, 9)) == 2.0


def test_the_plans_are_the_engines(schedules, published):
    """Also with forced steps, which are those outside the range of the forecasts."""
    for one in published:
        start, end = (one.sigmas[3], one.sigmas[-3]) if one.forced[1:] else (one.sigmas[0], 0.0)
        steps = step_range(one.sigmas, start, end, floor=one.floor)
        settings = Settings(speed=one.steps / one.calls, warmup_steps=1)
        if one.calls >= FEWEST and one.steps > SHORT:
            assert budget(settings, steps).computed == set(schedules.plan_for(schedules.shipped, one)), one
