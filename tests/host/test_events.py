"""What a listener is told while a run goes on."""

import logging

import pytest
from small_models.sampling import sample

from hicache_comfy import attach
from hicache_comfy.events import Ended, Evaluated, Started
from hicache_core import presets


@pytest.fixture
def events():
    return []


def test_a_run_is_told_from_start_to_end(flux, job, events):
    sample(attach(flux, presets.speed(2.0), on_event=events.append), job)
    first, *middle, last = events
    assert isinstance(first, Started)
    assert isinstance(last, Ended)
    assert last.finished
    assert first.total == 16
    assert [event.evaluation for event in middle] == list(last.report.evaluations)
    assert {event.run for event in events} == {first.run}
    computed = {e.step for e in last.report.evaluations if e.action == "computed"}
    assert computed == first.plan.computed


def test_an_evaluation_is_told_before_the_next_one(flux, job, network_calls):
    seen = []
    with network_calls.during() as calls:
        patched = attach(flux, presets.speed(1.0), on_event=lambda event: seen.append((type(event), calls.count)))
        sample(patched, job)
    assert [count for kind, count in seen if kind is Evaluated] == list(range(1, 17))


def test_two_runs_have_two_names(flux, job, events):
    patched = attach(flux, presets.speed(2.0), on_event=events.append)
    for _ in range(2):
        sample(patched, job)
    assert len({event.run for event in events}) == 2


def test_a_failed_run_ends(flux, job, events, network_calls):
    patched = attach(flux, presets.speed(2.0), on_event=events.append)
    with network_calls.during(fail_at=3), pytest.raises(RuntimeError, match="the network failed"):
        sample(patched, job)
    assert isinstance(events[-1], Ended)
    assert not events[-1].finished


def test_a_failing_listener_is_asked_once_and_the_picture_stays(flux, job, caplog):
    asked = []

    def fail(event):
        asked.append(event)
        raise ValueError("no")

    plain = sample(attach(flux, presets.speed(2.0)), job)
    with caplog.at_level(logging.ERROR, "hicache"):
        watched = sample(attach(flux, presets.speed(2.0), on_event=fail), job)
    assert watched.equal(plain)
    assert len(asked) == 1
    assert "on_event failed" in caplog.text
