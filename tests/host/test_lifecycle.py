"""Nothing outlives a run: not after success, not after an error at any step, not after an interrupt."""

from dataclasses import replace

import comfy.model_management
import pytest
import torch
from small_models.sampling import sample

from hicache_comfy import attach, last_report
from hicache_core import presets


@pytest.fixture(params=["output", "module"])
def watched(request, flux, watch):
    patched = attach(flux, replace(presets.speed(2.0), level=request.param))
    return patched, watch(patched)


def test_after_a_run(watched, job):
    model, watch = watched
    sample(model, job)
    assert len(watch.references) > 3
    assert watch.alive() == []


@pytest.mark.parametrize("call", range(1, 9))
def test_after_an_error_inside_the_network(watched, job, network_calls, call, flux):
    model, watch = watched
    settings = model.get_attachment("hicache").settings
    with network_calls.during(fail_at=call), pytest.raises(RuntimeError, match="the network failed"):
        sample(model, job)
    assert watch.alive() == []
    assert last_report(model).calls == call
    assert torch.equal(sample(model, job), sample(attach(flux, settings), job))


def test_tensors_are_gone_while_the_error_is_still_being_handled(watched, job, network_calls):
    model, watch = watched
    with network_calls.during(fail_at=6):
        try:
            sample(model, job)
        except RuntimeError:
            assert [t for t in watch.alive() if isinstance(t, torch.Tensor)] == []
        else:
            pytest.fail("the network did not fail")


@pytest.mark.parametrize("step", [0, 3, 9])
def test_after_an_interrupt(watched, job, step):
    model, watch = watched

    def stop(k, *_):
        if k == step:
            comfy.model_management.interrupt_current_processing()
            comfy.model_management.throw_exception_if_processing_interrupted()

    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sample(model, job, callback=stop)
    assert watch.alive() == []
    sample(model, job)


def test_a_failed_run_is_reported(flux, job, network_calls):
    seen = []
    model = attach(flux, presets.speed(2.0), on_report=seen.append)
    with network_calls.during(fail_at=4), pytest.raises(RuntimeError):
        sample(model, job)
    assert [report.calls for report in seen] == [4]


def test_a_failing_on_report_does_not_lose_the_picture(flux, job, caplog):
    def fail(report):
        raise OSError("disk full")

    sample(attach(flux, presets.speed(2.0), on_report=fail), job)
    assert "on_report failed" in caplog.text


def test_model_options_are_restored(flux, job):
    patched = attach(flux, presets.speed(2.0))
    sample(patched, job)
    assert "hicache" not in patched.model_options["transformer_options"]


def test_steps_and_previews_reach_the_callback(flux, job):
    plain, cached = [], []
    sample(flux, job, callback=lambda k, x0, x, total: plain.append((k, total)))
    sample(attach(flux, presets.speed(2.5)), job, callback=lambda k, x0, x, total: cached.append((k, total)))
    assert cached == plain
