"""What fails in published caches on a current ComfyUI, one check each: ours passes, a toy with that fault does not.

A cache is a function (MODEL, every: which steps it computes) -> MODEL. The toys are the least code that has the fault.
"""

import gc
import math
import re
import weakref
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import comfy.conds
import comfy.model_management
import comfy.samplers
import pytest
import torch
from tiny_models.model import sample
from tiny_models.rows import MODELS

from hicache_comfy import attach
from hicache_core import presets

STEPS = 14
ROUNDING = 1e-3  # relative; the host's own difference between one call for two conditions and two is about 1e-6
Interrupted = comfy.model_management.InterruptProcessingException


def ours(level, model, every=3):
    return attach(model, replace(presets.paper(every), level=level))


OURS = [("FLUX.1 dev", "output"), ("FLUX.1 dev", "module"), ("Qwen-Image", "block"), ("Wan 2.1 T2V", "output")]


@dataclass
class Host:
    """A fresh tiny model in the host, what a check needs of it, and pytest's means to change the host."""

    row: object
    monkeypatch: pytest.MonkeyPatch

    def __post_init__(self):
        self.model = self.row.build()

    def run(self, model, **how):
        return sample(model, self.row, **{"steps": STEPS, "cfg": 3.0, **how})

    def calls(self, model, **how):
        with counted(model) as calls:
            self.run(model, **how)
        return len(calls)


def first_block(model):
    blocks = re.compile(r"(double_|transformer_)?blocks\.0")
    return next(m for name, m in model.model.diffusion_model.named_modules() if blocks.fullmatch(name))


@contextmanager
def counted(model):
    calls = []
    handle = first_block(model).register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        yield calls
    finally:
        handle.remove()


def wrapped(model, kind, wrapper):
    """A clone with a wrapper that is called before those that come later."""
    clone = model.clone()
    clone.add_wrapper_with_key(kind, "test", wrapper)
    return clone


def difference(a, b):
    return float((a - b).norm() / b.norm())


# --- the checks ---


def split_cfg(host, cache):
    """The host makes two calls of cond and uncond where memory is short."""
    together = host.run(cache(host.model))
    assert host.calls(cache(host.model)) < STEPS, "it skips nothing"
    host.monkeypatch.setattr(host.model.model, "memory_required", lambda *a, **k: math.inf)
    assert difference(host.run(cache(host.model)), together) < ROUNDING, "cond and uncond are mixed up"


def bypass(host, cache):
    """The MODEL before the node, and every clone of it, are as they were."""
    expected, sibling = host.run(host.model), host.model.clone()
    host.run(cache(host.model))
    for unpatched in (host.model, sibling):
        with counted(unpatched) as calls:
            output = host.run(unpatched)
        assert torch.equal(output, expected), "a bypassed model is still accelerated"
        assert len(calls) == STEPS


def two_devices(host, cache):
    """MultiGPU CFG Split: no crash, both devices skip, and the picture is that of one device."""
    import comfy.multigpu

    devices = [torch.device("cpu"), torch.device("cpu", 0)]
    host.monkeypatch.setattr(comfy.model_management, "get_all_torch_devices", lambda exclude_current=False: devices)
    loaded = comfy.model_management.current_loaded_models
    loaded[:] = [entry for entry in loaded if entry.model is not None]
    host.model.cached_patcher_init = (host.row.build, ())
    expected = host.run(cache(host.model))
    patched = comfy.multigpu.create_multigpu_deepclones(cache(host.model), 2)
    (other,) = patched.get_additional_models_with_key("multigpu")
    with counted(patched) as here, counted(other) as there:
        output = host.run(patched)
    assert len(here) < STEPS, "no device skips"
    assert len(there) == len(here), "one device alone skips"
    assert difference(output, expected) < ROUNDING, "the split changes the picture"


def evaluations(host, cache, sampler):
    """(latent, by noise level whether the network ran in each evaluation there)"""
    ran = {}

    def note(executor, *args):
        before = len(calls)
        result = executor(*args)
        ran.setdefault(float(args[1][0]), []).append(len(calls) > before)
        return result

    patched = cache(wrapped(host.model, "predict_noise", note))
    with counted(patched) as calls:
        output = host.run(patched, sampler=sampler)
    return output, list(ran.values())


def two_evaluations_a_step(host, cache):
    """heun asks twice at most noise levels: the steps computed are those of euler, and nothing diverges."""
    _, euler = evaluations(host, cache, "euler")
    output, heun = evaluations(host, cache, "heun")
    assert [False] in euler, "it skips nothing"
    assert [first for first, *_ in heun] == [only for (only,) in euler], "evaluations are counted as steps"
    # The history of the second ones begins a step later, so that at one step more they cannot be forecast yet.
    assert sum(len(set(each)) > 1 for each in heun) <= 1, "evaluations are counted as steps"
    assert difference(output, host.run(host.model, sampler="heun")) < 2.0, "it diverges"


def argument_of_tomorrow(host, cache):
    """The next host gives its networks an argument more."""
    expected, given = host.run(cache(host.model)), []
    extra_conds = host.model.model.extra_conds

    def with_another(**kwargs):
        return {**extra_conds(**kwargs), "of_tomorrow": comfy.conds.CONDConstant(1)}

    host.monkeypatch.setattr(host.model.model, "extra_conds", with_another)
    network = host.model.model.diffusion_model
    patched = cache(host.model)
    handle = network.register_forward_pre_hook(lambda m, a, k: given.append("of_tomorrow" in k), with_kwargs=True)
    assert torch.equal(host.run(patched), expected)
    handle.remove()
    assert given
    assert all(given)


def interrupted(host, cache, at=6):
    """After an interrupt the next run is like a first one."""
    evaluations = []

    def stop(executor, *args):
        evaluations.append(1)
        if len(evaluations) == at:
            comfy.model_management.interrupt_current_processing()
        comfy.model_management.throw_exception_if_processing_interrupted()
        return executor(*args)

    expected = host.run(cache(host.model))
    patched = cache(wrapped(host.model, "predict_noise", stop))
    with pytest.raises(Interrupted):
        host.run(patched)
    assert torch.equal(host.run(patched), expected), "an interrupted run lives on in the next"


def another_size(host, cache):
    """The same patched MODEL samples a larger latent next."""
    patched = cache(host.model)
    host.run(patched)
    *others, width = host.row.latent
    larger = replace(host.row, latent=(*others, width + 4))
    output, expected = (sample(m, larger, steps=STEPS, cfg=3.0) for m in (patched, cache(host.model)))
    assert torch.equal(output, expected), "a run lives on in the next"


def second_clone(host, cache):
    """Two nodes with other settings on one model: each has its own."""
    alone = [host.calls(cache(Host(host.row, host.monkeypatch).model, every=every)) for every in (2, 5)]
    both = [cache(host.model, every=every) for every in (2, 5)]
    assert [host.calls(patched) for patched in both] == alone, "the settings of the second node are ignored"


def tensors_alive():
    gc.collect()
    return {id(o): weakref.ref(o) for o in gc.get_objects() if issubclass(type(o), torch.Tensor)}


def nothing_left(host, cache):
    """No tensor outlives the run, wherever it was put."""
    host.run(host.model)
    patched = cache(host.model)
    before = tensors_alive()
    host.run(patched)
    after = tensors_alive()
    left = [tensor() for key, tensor in after.items() if key not in before or before[key]() is not tensor()]
    assert left == [], "tensors are left after the run"


def input_untouched(host, cache):
    """With float32 inference the network is given the sampler's own tensor."""

    def compare(executor, x, *args, **kwargs):
        before = x.clone()
        result = executor(x, *args, **kwargs)
        assert torch.equal(x, before), "the sampler's latent is edited"
        return result

    host.run(cache(wrapped(host.model, "apply_model", compare)))


def answer_edited(host, cache):
    """Guidance and samplers may write to what they are given."""

    def spoil(executor, *args):
        result = executor(*args)
        mine = [tensor.clone() for tensor in result]
        for tensor in result:
            tensor.fill_(1e3)
        return mine

    patched = cache(wrapped(host.model, "calc_cond_batch", spoil))
    assert torch.equal(host.run(patched), host.run(cache(host.model))), "a stored tensor was handed out"


# --- the toys ---


def options_of(args, kwargs):
    """The transformer options of a call of APPLY_MODEL."""
    return kwargs.get("transformer_options") or args[-1]


class Reuse:
    """Computes every n-th call and returns the last answer in the others: one state, of whoever calls."""

    def __init__(self, every):
        self.every, self.count, self.last = every, 0, None

    def __call__(self, executor, *args, **kwargs):
        self.count += 1
        if self.last is None or self.count % self.every == 1:
            self.last = executor(*args, **kwargs)
        return self.last.clone()

    def forget(self):
        self.count, self.last = 0, None


def at_every_run(state, executor, *args, **kwargs):
    state.forget()
    try:
        return executor(*args, **kwargs)
    finally:
        state.forget()


def one_state(model, every=3):
    """One state for cond and uncond, and a count of calls."""
    state = Reuse(every)
    return wrapped(wrapped(model, "outer_sample", partial(at_every_run, state)), "apply_model", state)


def counts_evaluations(model, every=3):
    state = Reuse(every)
    return wrapped(wrapped(model, "outer_sample", partial(at_every_run, state)), "predict_noise", state)


def patches_the_network(model, every=3):
    """It replaces a method of the shared network, and nothing puts it back."""
    network, state = model.model.diffusion_model, Reuse(every)
    network.forward = partial(state, network.forward)
    return model.clone()


def one_order_of_conditions(model, every=3):
    """It looks conditions up among those of the first call."""
    order, state = [], Reuse(every)

    def wrapper(executor, *args, **kwargs):
        uuids = options_of(args, kwargs)["uuids"]
        order.extend(() if order else uuids)
        order.index(uuids[-1])
        return state(executor, *args, **kwargs)

    return wrapped(model, "apply_model", wrapper)


def first_device_alone(model, every=3):
    """It knows the network of the MODEL that it patched, and no deep clone of it."""
    states = {}

    def wrapper(executor, *args, **kwargs):
        if executor.class_obj is not model.model:
            return executor(*args, **kwargs)
        state = states.setdefault(tuple(options_of(args, kwargs)["uuids"]), Reuse(every))
        return state(executor, *args, **kwargs)

    return wrapped(model, "apply_model", wrapper)


def fixed_signature(model, every=3):
    """A forward of today, put in the place of the host's."""
    network = model.model.diffusion_model
    original, patched = network.forward, model.clone()

    def forward(x, timestep, context, y=None, guidance=None, control=None, transformer_options=None):
        return original(x, timestep, context, y, guidance, control=control, transformer_options=transformer_options)

    patched.add_object_patch("diffusion_model.forward", forward)
    return patched


def forgets_after_success(model, every=3):
    state = Reuse(every)

    def sample_and_forget(executor, *args, **kwargs):
        result = executor(*args, **kwargs)
        state.forget()
        return result

    return wrapped(wrapped(model, "outer_sample", sample_and_forget), "predict_noise", state)


def never_forgets(model, every=3):
    return wrapped(model, "predict_noise", Reuse(every))


def patched_once(model, every=3):
    """It finds its mark on the shared model and does not look at its settings again."""
    if not hasattr(model.model, "toy"):
        model.model.toy = Reuse(every)
    state = model.model.toy
    return wrapped(wrapped(model, "outer_sample", partial(at_every_run, state)), "predict_noise", state)


def leaves_tensors(model, every=3):
    def wrapper(executor, *args, **kwargs):
        model.model.diffusion_model.toy_cache = executor(*args, **kwargs)
        return model.model.diffusion_model.toy_cache

    return wrapped(model, "apply_model", wrapper)


def edits_its_input(model, every=3):
    """Adds what was stored to the latent that it was given."""

    def wrapper(executor, x, *args, **kwargs):
        return x.add_(executor(x, *args, **kwargs) - x)

    return wrapped(model, "apply_model", wrapper)


def hands_out_what_it_stores(model, every=3):
    stored = []

    def wrapper(executor, *args):
        stored[:] = stored or executor(*args)
        return list(stored)

    return wrapped(model, "calc_cond_batch", wrapper)


FAULTS = [
    (split_cfg, one_state, AssertionError, "cond and uncond are mixed up"),
    (bypass, patches_the_network, AssertionError, "a bypassed model is still accelerated"),
    (two_devices, one_order_of_conditions, ValueError, "is not in list"),
    (two_devices, first_device_alone, AssertionError, "one device alone skips"),
    (two_evaluations_a_step, counts_evaluations, AssertionError, "evaluations are counted as steps"),
    (argument_of_tomorrow, fixed_signature, TypeError, "of_tomorrow"),
    (interrupted, forgets_after_success, AssertionError, "an interrupted run lives on"),
    (another_size, never_forgets, RuntimeError, "size"),
    (second_clone, patched_once, AssertionError, "the settings of the second node are ignored"),
    (nothing_left, leaves_tensors, AssertionError, "tensors are left"),
    (input_untouched, edits_its_input, AssertionError, "the sampler's latent is edited"),
    (answer_edited, hands_out_what_it_stores, AssertionError, "a stored tensor was handed out"),
]
CHECKS = list(dict.fromkeys(check for check, *_ in FAULTS))


def needs(check):
    if check is two_devices and not hasattr(comfy.samplers, "_calc_cond_batch_multigpu"):
        pytest.skip("this host has no MultiGPU CFG Split")


@pytest.mark.parametrize(("name", "level"), OURS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_ours_passes(monkeypatch, check, name, level):
    needs(check)
    check(Host(MODELS[name], monkeypatch), partial(ours, level))


@pytest.mark.parametrize(("check", "toy", "exception", "match"), FAULTS, ids=[toy.__name__ for _, toy, *_ in FAULTS])
def test_the_check_finds_the_fault(monkeypatch, check, toy, exception, match):
    needs(check)
    with pytest.raises(exception, match=match):
        check(Host(MODELS["FLUX.1 dev"], monkeypatch), toy)
