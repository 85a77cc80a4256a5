"""The plan that is shown before a run is the plan of the run."""

from dataclasses import replace

import pytest

from hicache_core import Session, Settings, look_ahead, presets
from hicache_core.pace import Pace
from hicache_core.schedule import POLICIES

SIGMAS = [1.0 - k / 20 for k in range(21)]


@pytest.mark.parametrize("schedule", POLICIES)
@pytest.mark.parametrize("span", [(float("inf"), 0.0), (0.8, 0.2)])
def test_it_is_the_plan_of_the_session(schedule, span):
    settings = replace(Settings(), schedule=schedule, speed=3.0, interval=4, steps=(0, 5, 9), warmup_steps=2)
    preview, session = look_ahead(settings, SIGMAS, *span), Session(settings, SIGMAS, *span)
    assert preview.total == session.total == 20
    assert set(preview.computed) == session.plan.computed
    assert preview.message == session.plan.message


@pytest.mark.parametrize(("setting", "floor"), [(0.0, 0.003), (0.0, 0.3), (0.05, 0.3)])
def test_it_is_that_of_the_session_with_the_same_floor(setting, floor):
    """The settings' own comes first."""
    settings = replace(presets.speed(3.0), signal_floor=setting)
    preview, session = look_ahead(settings, SIGMAS, floor=floor), Session(settings, SIGMAS, floor=floor)
    assert set(preview.computed) == session.plan.computed
    assert preview == look_ahead(settings, SIGMAS, floor=setting or floor)


@pytest.mark.parametrize("schedule", [name for name in POLICIES if name != "adaptive"])
def test_a_plan_that_is_known_has_one_number_of_calls(schedule):
    settings = replace(Settings(), schedule=schedule, speed=3.0, interval=4, steps=(0, 5, 9))
    preview = look_ahead(settings, SIGMAS)
    assert preview.fewest == preview.most == len(preview.computed) < 20


@pytest.mark.parametrize("errors", [lambda step: 0.0, lambda step: 1e9, lambda step: None, lambda step: 1e-3 * step])
def test_an_adaptive_run_stays_between_the_bounds(errors):
    settings = presets.adaptive(0.003)
    preview, session = look_ahead(settings, SIGMAS), Session(settings, SIGMAS)
    unknown = min(settings.warmup_steps, settings.anchors)  # nothing could be forecast for these
    pace, calls = Pace(session.plan, 20), 0
    for step in range(20):
        if pace.must_compute(step):
            pace.computed(step, errors(step) if calls >= unknown else None)
            calls += 1
    assert preview.fewest < preview.most == 20
    assert preview.fewest <= calls <= preview.most


def test_no_steps():
    assert look_ahead(Settings(), []).total == 0


def test_fewest_is_what_a_run_without_errors_computes():
    """Of the first step nothing can be measured."""
    settings = replace(presets.adaptive(1.0), warmup_steps=1, signal_floor=10.0)
    sigmas = [1.0, 1.0, 0.5, 0.0]
    pace = Pace(Session(settings, sigmas).plan, 3)
    assert pace.must_compute(0)
    pace.computed(0, None)
    assert [pace.must_compute(step) for step in (1, 2)] == [False, True]
    assert look_ahead(settings, sigmas).fewest == 2
