"""What attach promises: the same picture at speed 1, the original untouched, honest counts."""

import pytest
import torch
from small_models.sampling import sample

from hicache_comfy import attach, last_report
from hicache_core import RunReport, Settings, presets


def test_speed_one_is_bit_identical(flux, job, network_calls):
    expected = sample(flux, job)
    with network_calls.during():
        assert torch.equal(sample(attach(flux, presets.speed(1.0)), job), expected)
    assert network_calls.count == job.steps


@pytest.mark.parametrize("settings", [presets.speed(2.5), Settings(schedule="interval"), presets.adaptive(0.003)])
def test_the_report_counts_what_the_network_ran(flux, job, network_calls, settings):
    patched = attach(flux, settings)
    with network_calls.during():
        sample(patched, job)
    report = last_report(patched)
    assert report.calls == network_calls.count < job.steps
    assert report.calls + report.forecasts == len(report.evaluations) == job.steps
    # Of the history, of what is compared with its forecast, of corrector and stabilizer together; float32.
    latents = 2 + 1 + 4
    assert report.bytes_held == latents * 16 * 16 * 16 * 4
    assert all(e.seconds > 0.0 for e in report.evaluations)


def test_two_runs_are_identical(flux, job):
    patched = attach(flux, presets.speed(3.0))
    assert torch.equal(sample(patched, job), sample(patched, job))


def test_the_original_and_other_clones_stay_as_they_were(flux, job):
    expected, sibling = sample(flux, job), flux.clone()
    patched = attach(flux, presets.speed(4.0))
    assert not torch.equal(sample(patched, job), expected)
    assert torch.equal(sample(flux, job), expected)
    assert torch.equal(sample(sibling, job), expected)
    assert flux.get_attachment("hicache") is None
    assert "hicache" not in str(flux.wrappers)


def test_a_clone_of_a_patched_model_is_patched_and_shares_its_reports(flux, job):
    patched = attach(flux, presets.speed(2.0))
    clone = patched.clone()
    assert torch.equal(sample(clone, job), sample(patched, job))
    assert last_report(clone) is last_report(patched)


def test_patching_again_replaces_the_settings(flux, job, network_calls):
    again = attach(attach(flux, presets.speed(8.0)), presets.speed(2.0))
    with network_calls.during():
        sample(again, job)
    assert network_calls.count == 8
    assert len(again.get_wrappers("outer_sample", "hicache")) == 1


def test_calls_of_the_network_are_wrapped_only_for_levels_inside_it(flux):
    inside = attach(flux, presets.paper())
    assert len(inside.get_wrappers("apply_model", "hicache")) == 1
    assert attach(inside, presets.speed(2.0)).get_wrappers("apply_model", "hicache") == []


def test_an_unpatched_model_has_no_report(flux):
    assert last_report(flux) is None
    assert last_report(attach(flux, presets.speed(2.0))) is None


def test_the_store_of_reports_is_bounded(flux):
    from hicache_comfy import reports

    patches = [attach(flux, presets.speed(2.0)) for _ in range(reports._CAPACITY + 1)]
    for patched in patches:
        reports.store_report(patched.get_attachment("hicache"), RunReport((), 0, ()))
    assert last_report(patches[0]) is None
    assert last_report(patches[-1]) is not None


def test_on_report_gets_every_run(flux, job):
    seen = []
    sample(attach(flux, presets.speed(2.0), on_report=seen.append), job)
    assert [type(r) for r in seen] == [RunReport]


def test_wrong_arguments_are_named(flux):
    with pytest.raises(TypeError, match="ComfyUI MODEL and got str"):
        attach("flux", presets.speed(2.0))
    with pytest.raises(TypeError, match=r"hicache_core\.Settings and got dict"):
        attach(flux, {"speed": 2.0})
