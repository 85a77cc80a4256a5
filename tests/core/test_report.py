import json
from dataclasses import replace

import pytest

from hicache_core import Evaluation, RunReport


def evaluation(action, seconds, step=0):
    return Evaluation(step, float(step), 0.5, action, seconds, error=None, reason="")


def test_speedup_in_seconds_is_estimated_from_the_median_computed_evaluation():
    actions = [("computed", 9.0), ("computed", 2.0), ("forecast", 0.1), ("refused", 2.0), ("forecast", 0.1)]
    report = RunReport(tuple(evaluation(*a) for a in actions), 2**20, ())
    assert report.calls == 3
    assert report.speedup_calls == pytest.approx(5 / 3)
    assert report.speedup_seconds == pytest.approx(2.0 * 5 / 13.2)
    assert report.summary() == ("3 of 5 evaluations computed (1.67x fewer calls, about 0.76x faster), 1.0 MiB held")
    assert replace(report, device="cpu").summary().endswith(" 1.0 MiB held on cpu")


def test_an_empty_run():
    report = RunReport((), 0, ())
    assert (report.calls, report.speedup_calls, report.speedup_seconds) == (0, 1.0, 1.0)
    assert report.summary() == "no evaluation"


def test_as_dict_is_json():
    report = RunReport((evaluation("computed", 1.0), evaluation("forecast", 0.5, step=1)), 10, ("hello",))
    data = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert data["calls"] == 1
    assert data["evaluations"][1]["action"] == "forecast"
    assert data["messages"] == ["hello"]
    assert (data["bytes_announced"], data["device"], data["signal_floor"]) == (0, "", 0.0)
