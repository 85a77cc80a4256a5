"""The host's MultiGPU CFG Split and Select Model Device, with its own nodes, deep clones and threads.

On a machine without two GPUs the host is told that the CPU is two: "cpu" and "cpu:0". With two GPUs and
HICACHE_DEVICE=cuda nothing is pretended, and every test here runs on them.
"""

import gc
import threading
import weakref
from contextlib import contextmanager
from dataclasses import replace

import comfy.model_management
import comfy.samplers
import pytest
import torch
from small_models import sampling
from small_models.sampling import conditioning, jobs, sample, sample_from

from hicache_comfy import attach, last_report
from hicache_core import LEVELS, presets

if not hasattr(comfy.samplers, "_calc_cond_batch_multigpu"):
    pytest.skip("this host has no MultiGPU CFG Split", allow_module_level=True)

from comfy.multigpu import MultiGPUThreadPool
from comfy_extras.nodes_multigpu import MultiGPUCFGSplitNode, SelectModelDeviceNode

TWO_GPUS = comfy.model_management.get_torch_device().type == "cuda" and torch.cuda.device_count() > 1
ROUNDING = 4.0  # times the host's own split / unsplit difference: a forecast multiplies it by the sum of its weights


@pytest.fixture(autouse=True)
def two_devices(monkeypatch):
    if TWO_GPUS:
        return [torch.device("cuda", 0), torch.device("cuda", 1)]
    devices = [torch.device("cpu"), torch.device("cpu", 0)]
    monkeypatch.setattr(comfy.model_management, "get_all_torch_devices", lambda exclude_current=False: devices)
    return devices


@pytest.fixture
def model(model):
    """With the factory that the host's loaders leave behind, from which it makes the model for another device."""
    ours = model.clone()
    if ours.cached_patcher_init is None:
        ours.cached_patcher_init = (sampling.load_qwen_image.__wrapped__, ("train",))
    return ours


@pytest.fixture
def guided():
    return replace(jobs("train", 1)[0], cfg=4.0, steps=12)


def settings(level):
    return replace(presets.paper(3), level=level)


def split(model):
    loaded = comfy.model_management.current_loaded_models
    loaded[:] = [entry for entry in loaded if entry.model is not None]  # on one that is gone, the host's node raises
    (patched,) = MultiGPUCFGSplitNode.execute(model, 2).result
    assert len(clones(patched)) == 1
    return patched


def clones(model):
    return model.get_additional_models_with_key("multigpu")


def networks(model):
    return [patcher.model.diffusion_model for patcher in (model, *clones(model))]


def hooks_left(model):
    return [m for net in networks(model) for m in net.modules() if m._forward_hooks or m._forward_pre_hooks]


def distance(a, b):
    return float((a - b).norm())


def actions(model):
    return [e.action for e in last_report(model).evaluations]


ORDERS = {
    "HiCache first": lambda model, level: split(attach(model, settings(level))),
    "split first": lambda model, level: attach(split(model), settings(level)),
}


class Threads:
    """Counts what the host hands to its threads, and what reaches the blocks of each device's network.

    ``fail`` is called with the device at every call of a network, on that device's thread.
    """

    def __init__(self, monkeypatch):
        self.submitted, self.devices, self.names, self.fail = 0, [], set(), lambda device: None
        submit = MultiGPUThreadPool.submit

        def counted(pool, device, *args, **kwargs):
            self.submitted += 1
            submit(pool, device, *args, **kwargs)

        monkeypatch.setattr(MultiGPUThreadPool, "submit", counted)

    def watch(self, model):
        watched = model.clone()
        watched.add_wrapper_with_key("apply_model", "threads", self._note)
        return watched

    def _note(self, executor, *args, **kwargs):
        options = kwargs.get("transformer_options") or args[-1]
        device = options["multigpu_thread_device"]
        self.names.add(threading.current_thread().name)
        self.devices.append((device, tuple(options["uuids"])))
        self.fail(device)
        return executor(*args, **kwargs)


@contextmanager
def first_blocks(model):
    """Calls of the first block of every device's network."""
    found = [sampling.first_block(network) for network in networks(model)]
    counts = [0] * len(found)

    def count(index):
        def note(*_):
            counts[index] += 1

        return note

    handles = [block.register_forward_pre_hook(count(i)) for i, block in enumerate(found)]
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("level", LEVELS)
def test_split_and_unsplit_make_the_same_picture(model, guided, monkeypatch, level):
    allowed = ROUNDING * distance(sample(split(model), guided), sample(model, guided))
    unsplit = attach(model, settings(level))
    expected = sample(unsplit, guided)
    pictures = []
    for chain in ORDERS.values():
        threads = Threads(monkeypatch)
        patched = threads.watch(chain(model, level))
        assert clones(patched)[0].model is not model.model
        with first_blocks(patched) as blocks:
            pictures.append(sample(patched, guided))
        assert actions(patched) == actions(unsplit)
        calls = last_report(patched).calls
        assert blocks == [calls, calls]  # both devices skip
        assert len(threads.names) == 2
        assert hooks_left(patched) == []
        assert last_report(patched).messages == ()
    assert torch.equal(*pictures)
    assert distance(pictures[0], expected) <= allowed


@pytest.mark.parametrize("level", LEVELS)
def test_what_reaches_a_thread(flux, guided, monkeypatch, level):
    """Nothing on a forecast step at level output; elsewhere what surrounds the blocks."""
    threads = Threads(monkeypatch)
    patched = threads.watch(attach(split(flux), settings(level)))
    sample(patched, guided)
    steps = last_report(patched).calls if level == "output" else guided.steps
    assert 0 < last_report(patched).calls < guided.steps
    assert threads.submitted == len(threads.devices) == 2 * steps


def combined(captions):
    """ConditioningCombine of several, the first of which ends in the middle of the run."""
    several = [condition for caption in captions for condition in conditioning(caption)]
    (context, options), *others = several
    return [[context, {**options, "start_percent": 0.0, "end_percent": 0.5}], *others]


@pytest.mark.parametrize("level", LEVELS)
def test_conditions_that_change_their_device(flux, guided, monkeypatch, level):
    """Four conditions on two devices, later three: the third moves from the second device to the first."""
    captions = [job.caption for job in jobs("train", 3)]

    def run(patched):
        noise = sampling.comfy.sample.prepare_noise(empty, guided.seed)
        return sample_from(patched, guided, empty, noise, combined(captions), conditioning(None))

    empty = sampling.comfy.sample.fix_empty_latent_channels(flux, torch.zeros(1, 16, 16, 16))
    allowed = ROUNDING * distance(run(split(flux)), run(flux))
    unsplit, threads = attach(flux, settings(level)), Threads(monkeypatch)
    patched = threads.watch(attach(split(flux), settings(level)))
    expected, output = run(unsplit), run(patched)
    assert actions(patched) == actions(unsplit)
    assert "forecast" in actions(patched)[guided.steps // 2 :]
    assert distance(output, expected) <= allowed
    places = {}
    for device, uuids in threads.devices:
        for uuid in uuids:
            places.setdefault(uuid, set()).add(device)
    assert sorted(map(len, places.values())) == [1, 1, 1, 2]


class Watch:
    """Weak references to every anchor, taken on the sampler's thread."""

    def __init__(self, model):
        self.references = {}
        model.add_wrapper_with_key("calc_cond_batch", "watch", self._look)

    def _look(self, executor, *args, **kwargs):
        session = args[4]["transformer_options"]["hicache"].session
        for history in session._histories.values():
            for anchor in history.anchors:
                self.references |= {id(t): weakref.ref(t) for t in anchor.tensors.values()}
        del session  # an error keeps this frame alive
        return executor(*args, **kwargs)

    def alive(self):
        gc.collect()
        return [r() for r in self.references.values() if r() is not None]


@pytest.mark.parametrize("level", ["output", "module"])
@pytest.mark.parametrize(
    ("index", "what"), [(0, comfy.model_management.InterruptProcessingException), (1, RuntimeError)]
)
def test_after_an_end_in_one_thread(flux, guided, monkeypatch, two_devices, level, index, what):
    threads = Threads(monkeypatch)
    patched = threads.watch(attach(split(flux), settings(level)))
    watch, target, calls = Watch(patched), two_devices[index], []
    expected = sample(patched, guided)

    def fail(device):
        calls.extend([device] if device == target else [])
        if len(calls) == 5:
            raise what("in one thread")

    threads.fail = fail
    with pytest.raises(what):
        sample(patched, guided)
    threads.fail = lambda device: None
    assert len(watch.references) > 3
    assert watch.alive() == []
    assert hooks_left(patched) == []
    assert torch.equal(sample(patched, guided), expected)
    assert not [t for t in threading.enumerate() if "_worker_loop" in t.name]


@pytest.mark.parametrize(
    ("device", "level"), [("cpu", "output"), ("gpu:1", "output"), ("gpu:1", "module"), ("gpu:7", "module")]
)
def test_select_model_device(flux, guided, device, level):
    """gpu:7 does not exist: the host passes the model through."""
    expected = sample(SelectModelDeviceNode.execute(flux, device).result[0], guided)
    after = attach(SelectModelDeviceNode.execute(flux, device).result[0], settings(level))
    before = SelectModelDeviceNode.execute(attach(flux, settings(level)), device).result[0]
    pictures = [sample(after, guided), sample(before, guided)]
    assert torch.equal(*pictures)
    assert actions(after) == actions(before)
    assert last_report(after).calls < guided.steps
    assert 0.0 < distance(pictures[0], expected)
    if not TWO_GPUS or device != "cpu":  # a CPU has another arithmetic
        assert torch.equal(pictures[0], sample(attach(flux, settings(level)), guided))


@pytest.mark.skipif(not TWO_GPUS, reason="needs two CUDA devices and HICACHE_DEVICE=cuda")
@pytest.mark.parametrize("level", LEVELS)
def test_anchors_are_where_their_condition_is_computed(model, guided, level):
    """The tests above, on two GPUs, and this one, which a CPU cannot tell: its tensors know no index."""
    patched, found = attach(split(model), settings(level)), set()

    def look(executor, *args, **kwargs):
        for history in args[4]["transformer_options"]["hicache"].session._histories.values():
            found.update(t.device for anchor in history.anchors for t in anchor.tensors.values())
        return executor(*args, **kwargs)

    patched.add_wrapper_with_key("calc_cond_batch", "look", look)
    sample(patched, guided)
    assert found == ({torch.device("cuda", 0)} if level == "output" else {torch.device("cuda", i) for i in (0, 1)})
