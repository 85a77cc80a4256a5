"""Whatever goes wrong in the middle of a run: it ends as it should, and nothing of it is left. docs/faults.md has the
matrix, and the end of the test's output; after a change that is meant: HICACHE_WRITE_SNAPSHOT=1 python dev.py test
tests/host/test_faults.py, and read the difference. With --long, memory is refused to every line each time that it
asks."""

import weakref

import comfy.model_management
import comfy.samplers
import pytest
import torch
from faults import page
from faults.allocations import Allocations, first_times, last_times, of_cpu, of_gpu
from faults.laws import Held, state, strike
from faults.rows import FAULTS, Fault, gave_up
from faults.setups import SETUPS, Setup, Stand
from faults.strikes import network_calls

from hicache_comfy.shortage import is_shortage

import comfyui_version  # isort: skip

NEWEST = "0.30.0"
IS_NEWEST = comfyui_version.__version__ == NEWEST
BY_NAME = {fault.name: fault for fault in FAULTS}
OF_OURS = "HiCache wants"  # memory that is refused to HiCache's own lines
TRIED = {}


@pytest.fixture(scope="module", params=SETUPS if IS_NEWEST else SETUPS[1:4:2], ids=lambda setup: setup.name)
def stand(request):
    return Stand(request.param)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_it_ends_as_it_should_and_leaves_nothing(stand, fault, request):
    every = request.config.getoption("--long")
    moments = list(fault.moments(stand, every))
    assert moments, "there is no moment at which it can strike"
    strike(stand, fault, moments)
    TRIED[fault.name, stand.setup.name] = "every line" if fault.name.endswith(OF_OURS) else str(len(moments))


@pytest.mark.skipif(not IS_NEWEST, reason="the page is about the newest host")
def test_the_page_shows_what_was_tried(record_property):
    cells = {(fault.name, setup.name) for fault in FAULTS for setup in SETUPS}
    if TRIED.keys() != cells:
        pytest.skip("not every cell was run")
    record_property("printed at the end", page.matrix(TRIED))
    page.hold(page.MATRIX, page.matrix(TRIED))


# --- the laws fire ---


@pytest.fixture(scope="module")
def plain_stand():
    return Stand(SETUPS[0])


@pytest.mark.parametrize(
    "leave",
    [
        lambda stand: stand.patched.model_options["transformer_options"].update(left=1),
        lambda stand: stand.patched.add_wrapper_with_key("calc_cond_batch", "left", print),
        lambda stand: stand.model.set_attachments("left", object()),
        lambda stand: stand.model.add_object_patch("diffusion_model.forward", print),
        lambda stand: first_linear(stand).register_forward_hook(print),
        lambda stand: first_linear(stand).weight.add_(1.0),
    ],
)
def test_what_is_left_on_the_model_is_found(leave):
    stand = Stand(SETUPS[0])
    stand.run(stand.patched)
    before = state(stand)
    stand.run(stand.patched)
    assert state(stand) == before
    leave(stand)
    assert state(stand) != before


def first_linear(stand):
    return next(m for m in stand.model.model.diffusion_model.modules() if hasattr(m, "in_features"))


def test_a_session_that_lives_on_is_found(plain_stand):
    kept, held = [], Held(plain_stand)
    plain_stand.listener = lambda event: kept.append(held._references[-1]() if held._references else None)
    plain_stand.run(plain_stand.patched)
    plain_stand.listener = None
    with pytest.raises(AssertionError, match="something of a run is alive"):
        held.end()


def test_a_fault_that_does_not_strike_is_found(plain_stand):
    never = Fault("never", "", network_calls, lambda *_: BY_NAME["interrupt"].strike(plain_stand, 99), ends=ValueError)
    with pytest.raises(AssertionError, match="passed unnoticed"):
        strike(plain_stand, never, [0])


def test_a_run_that_goes_on_forecasting_without_memory_is_found(plain_stand):
    plain_stand.run(plain_stand.patched)
    report = plain_stand.reports[-1]
    with pytest.raises(ValueError, match="not enough values"):  # it said nothing
        gave_up(torch.zeros(1), report, plain_stand, 0)
    said = type(report)(report.evaluations, 0, ("memory ran out at step 1: x",))
    with pytest.raises(AssertionError, match="went on forecasting"):
        gave_up(torch.zeros(1), said, plain_stand, 0)


def test_the_lines_that_ask_for_memory_are_ours_and_those_of_the_host_are_not(plain_stand):
    with Allocations() as asked:
        plain_stand.run(plain_stand.model)
    assert asked.lines == []
    with Allocations() as asked:
        plain_stand.run(plain_stand.patched)
    files = {line[0].rpartition("hicache_")[2] for line in asked.lines}
    assert {"comfy/output_level.py", "core/forecast.py", "core/corrector.py", "core/trust.py"} <= files


def test_memory_is_refused_to_every_line_the_first_time_and_the_last_time(plain_stand):
    assert first_times(list("abacb")) == {"a": 0, "b": 1, "c": 3}
    assert last_times(list("abacb")) == {"a": 2, "b": 4, "c": 3}
    with Allocations() as asked:
        plain_stand.run(plain_stand.patched)
    for fault in (fault for fault in FAULTS if fault.name.endswith(OF_OURS)):
        struck = [asked.lines[k] for k in fault.moments(plain_stand, False)]
        assert sorted(struck) == sorted(set(asked.lines))


# --- when memory runs out ---


@pytest.mark.parametrize("error", [of_gpu(), of_cpu(), MemoryError(), RuntimeError("MPS backend out of memory (MPS)")])
def test_errors_that_mean_memory(error):
    assert is_shortage(error)


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("memory")])
def test_errors_that_do_not(error):
    assert not is_shortage(error)


def test_torchs_own_error_of_the_cpu_is_one():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert is_shortage(caught.value)


def test_without_memory_from_the_start_the_picture_is_that_of_the_model_alone(plain_stand):
    with Allocations(0, of_gpu):
        assert torch.equal(plain_stand.run(plain_stand.patched), plain_stand.plain)


def test_the_answer_stands_where_only_keeping_it_failed(plain_stand):
    """The network runs no more often than without HiCache."""
    calls = []
    handle = plain_stand.model.model.diffusion_model.register_forward_pre_hook(lambda *_: calls.append(1))
    with Allocations(0, of_gpu):
        plain_stand.run(plain_stand.patched)
    handle.remove()
    assert len(calls) == len(plain_stand.report.evaluations)


def test_tensors_are_gone_before_the_network_runs_again(plain_stand):
    """What was kept is memory that the second try can have."""
    anchors, alive = [], []
    network = plain_stand.model.model.diffusion_model

    def look(executor, *args):
        session = args[4]["transformer_options"]["hicache"].session
        anchors.extend(
            weakref.ref(t) for h in session._histories.values() for a in h.anchors for t in a.tensors.values()
        )
        del session
        return executor(*args)

    plain_stand.patched.add_wrapper_with_key("calc_cond_batch", "look", look)
    with BY_NAME["the network runs out of memory once"].strike(plain_stand, 1):
        handle = network.register_forward_pre_hook(lambda *_: alive.append(sum(r() is not None for r in anchors)))
        plain_stand.run(plain_stand.patched)
        handle.remove()
    plain_stand.patched.remove_wrappers_with_key("calc_cond_batch", "look")
    assert alive[1] > 0
    assert alive[2] == 0


def test_at_speed_one_there_is_nothing_to_give_up(plain_stand):
    """An error of the network is the host's alone, and it is not asked twice."""
    from hicache_comfy import attach
    from hicache_core import presets

    calls = []
    handle = plain_stand.model.model.diffusion_model.register_forward_pre_hook(lambda *_: calls.append(1))
    with BY_NAME["the network runs out of memory once"].strike(plain_stand, 2), pytest.raises(torch.OutOfMemoryError):
        plain_stand.run(attach(plain_stand.model, presets.speed(1.0)))
    handle.remove()
    assert len(calls) == 3


def test_with_multigpu_an_error_of_the_network_passes_and_the_next_run_is_sound(monkeypatch):
    """The host's threads keep the answers of the call that failed."""
    if not hasattr(comfy.samplers, "_calc_cond_batch_multigpu"):
        pytest.skip("this host has no MultiGPU CFG Split")
    from comfy.multigpu import create_multigpu_deepclones

    devices = [torch.device("cpu"), torch.device("cpu", 0)]
    monkeypatch.setattr(comfy.model_management, "get_all_torch_devices", lambda exclude_current=False: devices)
    stand = Stand(Setup("FLUX.1 dev", SETUPS[0].settings, cfg=3.0))
    stand.model.cached_patcher_init = (stand.setup.row.build, ())
    both = create_multigpu_deepclones(stand.patched, 2)
    expected = stand.run(both)
    with BY_NAME["the network runs out of memory once"].strike(stand, 1), pytest.raises(torch.OutOfMemoryError):
        stand.run(both)
    assert torch.equal(stand.run(both), expected)
    kept = BY_NAME["no memory on the GPU for what HiCache wants"]
    with kept.strike(stand, 0):  # what HiCache itself asks for, on the sampler's thread
        gave_up(stand.run(both), stand.reports[-1], stand, 0)
    assert torch.equal(stand.run(both), expected)
