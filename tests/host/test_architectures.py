"""Every row of ARCHITECTURES in the host's own network at tiny size: recording changes nothing, and a skipped call that
adds the very features of that call is that call."""

import importlib
import inspect
import math
import sys
from dataclasses import replace

import pytest
import torch
from tiny_models.model import sample
from tiny_models.rows import MODELS

from hicache_comfy import attach, last_report
from hicache_comfy.architectures import ARCHITECTURES, OUTPUT_ONLY, architecture_of, name_of
from hicache_comfy.block_call import BlockCall, Plan, branches_of
from hicache_comfy.block_patches import PATCHES
from hicache_core import Series, presets
from hicache_core.history import Anchor

NEWEST = "0.30.0"
PADDED_TEXT = {"FLUX.2 dev", "FLUX.2 dev, editing", "FLUX.2 klein"}  # to 512 tokens, as many as real prompts have
AUDIO = {"LTX-2", "LTX-2.3"}
ONE_CONDITION = {"HunyuanVideo I2V v2"}  # the host fails on two in one batch: it writes into an expanded tensor


FIRST_OF_ITS_CLASS = list({row.config: name for name, row in reversed(MODELS.items()) if row.in_this_host}.values())


def in_this_host(path):
    module, _, name = path.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return False


@pytest.fixture(scope="module", params=[name for name, row in MODELS.items() if row.in_this_host])
def tiny(request):
    row = MODELS[request.param]
    return row, row.build()


def the_same(a, b, tolerance):
    pairs = zip(a, b, strict=True) if isinstance(a, (list, tuple)) else [(a, b)]
    return all(float((x - y).norm()) <= tolerance * float(y.norm()) for x, y in pairs)


def parts_of(latent):
    return latent.unbind() if latent.is_nested else [latent]


def works(grain, model):
    architecture = architecture_of(model.model.diffusion_model)
    return architecture is not None and grain in architecture.levels


def patches_blocks(network):
    """Whether the host asks for replacements of the network's blocks; a newer host may begin to."""
    modules = {kind.__module__ for kind in type(network).__mro__ if kind.__module__.startswith("comfy.")}
    return any("blocks_replace" in inspect.getsource(sys.modules[name]) for name in modules)


class Probe:
    """An APPLY_MODEL wrapper that calls the network three times: plain, recording, and with what was recorded."""

    def __init__(self, architecture, grain):
        self.architecture, self.grain, self.calls = architecture, grain, 0

    def __call__(self, executor, *args, **kwargs):
        *args, options = args
        network, branches = executor.class_obj.diffusion_model, branches_of(options)
        layouts = {}

        def through(**what):
            plan = Plan(self.architecture, PATCHES[self.grain], args[0].shape[0] // len(branches), layouts, **what)
            call = BlockCall(plan, network, options)
            output = executor(*args, call.patched(options), **kwargs)
            assert plan.objections == plan.trouble == []
            assert not call.incomplete
            return output, plan.recorded

        expected = executor(*args, options, **kwargs)
        computed, recorded = through(recorded={branch: {} for branch in branches})
        assert the_same(computed, expected, 0.0)
        assert all(recorded.values())
        series = {b: Series((Anchor(0.0, t, {}),), {slot: [1.0] for slot in t}) for b, t in recorded.items()}
        ran = []
        blocks = {getattr(network, kind.attribute)[index] for kind, index in self.architecture.places(network)}
        counters = [block.register_forward_pre_hook(lambda *_: ran.append(1)) for block in blocks]
        try:
            skipped, _ = through(series=series)
        finally:
            for counter in counters:
                counter.remove()
        assert ran == []
        assert the_same(skipped, expected, 1e-5)
        self.calls += 1
        return expected


def test_skipping_with_the_features_of_the_call_is_the_call(tiny):
    row, model = tiny
    architecture = architecture_of(model.model.diffusion_model)
    if architecture is None:
        network = model.model.diffusion_model
        assert name_of(network) in OUTPUT_ONLY or not patches_blocks(network)
        return
    for grain in architecture.levels:
        probe, clone = Probe(architecture, grain), model.clone()
        clone.add_wrapper_with_key("apply_model", "probe", probe)
        sample(clone, row, steps=2, cfg=1.0 if row.name in ONE_CONDITION else 2.0)
        assert probe.calls >= 2


@pytest.mark.parametrize("name", FIRST_OF_ITS_CLASS)
def test_a_level_works_or_says_why_not(name):
    row, model = MODELS[name], MODELS[name].build()
    for grain in PATCHES:
        patched = attach(model, replace(presets.paper(2), level=grain))
        result = sample(patched, row, steps=4)
        report = last_report(patched)
        assert all(torch.isfinite(part).all() for part in parts_of(result))
        assert report.forecasts > 0
        if works(grain, model):
            assert report.messages == ()
            least = 0.0 if name in PADDED_TEXT else 0.6  # tokens that a network adds by itself are not announced
            most = math.inf if name in AUDIO else 1.1  # several cells of sound are one token
            assert least <= report.bytes_announced / report.bytes_held <= most
        else:
            (message,) = report.messages
            assert message.startswith(f"level {grain} ")
            assert message.endswith(": the model's output is forecast instead")
            assert OUTPUT_ONLY.get(name_of(model.model.diffusion_model), "") in message


def test_patches_between_the_modules_go_on_at_level_output():
    row = MODELS["Wan 2.1 T2V"]
    model = row.build()
    model.set_model_attn2_patch(lambda args: args["x"])
    patched = attach(model, replace(presets.paper(2), level="module"))
    sample(patched, row, steps=6)
    assert last_report(patched).messages == (
        "level module does not see what another pack does between the modules (attn2_patch): the model's output is "
        "forecast instead",
    )


def test_every_row_is_a_network_of_the_host(host_version):
    if host_version != NEWEST:
        pytest.skip(f"older hosts do not have them all; {NEWEST} does")
    assert [path for path in (*ARCHITECTURES, *OUTPUT_ONLY) if not in_this_host(path)] == []
    assert not set(ARCHITECTURES) & set(OUTPUT_ONLY)


def test_every_row_has_a_tiny_model(host_version):
    if host_version != NEWEST:
        pytest.skip(f"older hosts do not have them all; {NEWEST} does")
    built = {name_of(row.build().model.diffusion_model) for row in MODELS.values()}
    assert set(ARCHITECTURES) | set(OUTPUT_ONLY) <= built
