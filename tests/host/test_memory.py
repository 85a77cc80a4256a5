"""What a run keeps is announced before the host loads the model, is kept where it was told to, and is gone after."""

import math
from dataclasses import replace

import comfy.model_management
import comfy.samplers
import pytest
import torch
from small_models.sampling import conditioning, sample, sample_from
from torch.utils._python_dispatch import TorchDispatchMode

from hicache_comfy import attach, last_report, memory
from hicache_comfy.block_level import BlockLevel
from hicache_comfy.memory import has_room, settle
from hicache_comfy.output_level import OutputLevel
from hicache_comfy.run import Run
from hicache_core import LEVELS, Session, euler, presets

GIB = 2**30
ELSEWHERE = torch.device("cpu", 0)  # what goes to the CPU by its number is copied: enough of another device


def at(level, **changes):
    return replace(presets.paper(3), level=level, **changes)


@pytest.fixture
def guided(job):
    return replace(job, cfg=3.0)


def announced(model, *work, run=sample, **how):
    """(the two sizes that the host was asked to make room for, the report) of a run."""
    asked = []
    original = comfy.model_management.load_models_gpu

    def load(models, memory_required, minimum_memory_required, **more):
        asked.append((memory_required, minimum_memory_required))
        original(models, memory_required, minimum_memory_required=minimum_memory_required, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comfy.model_management, "load_models_gpu", load)
        run(model, *work, **how)
    (sizes,) = asked
    return sizes, last_report(model)


@pytest.mark.parametrize("level", LEVELS)
def test_the_host_is_asked_for_room_before_it_loads_the_model(model, guided, level):
    (plain, plain_least), _ = announced(model, guided)
    (asked, least), report = announced(attach(model, at(level)), guided)
    column = model.model.memory_required([1, 16, 16, 1])
    assert report.bytes_announced > 0
    assert report.bytes_announced <= least - plain_least <= report.bytes_announced + column
    assert asked - plain >= report.bytes_announced


def test_at_speed_one_nothing_is_announced(flux, job):
    plain, _ = announced(flux, job)
    sizes, report = announced(attach(flux, presets.speed(1.0)), job)
    assert sizes == plain
    assert (report.bytes_announced, report.bytes_held, report.device) == (0, 0, "")


@pytest.mark.parametrize("cfg", [1.0, 3.0])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("level", LEVELS)
def test_what_is_announced_is_what_will_be_held(model, job, level, cfg, batch):
    patched = attach(model, at(level))
    sample(patched, replace(job, cfg=cfg, batch=batch))
    report = last_report(patched)
    assert report.bytes_announced == report.bytes_held > 0


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("settings", [presets.speed(2.5), presets.adaptive(0.03)])
def test_with_corrector_and_stabilizer_and_an_anchor_to_compare(flux, guided, settings, level):
    patched = attach(flux, replace(settings, level=level))
    sample(patched, guided)
    assert last_report(patched).bytes_announced == last_report(patched).bytes_held > 0


@pytest.mark.parametrize("level", LEVELS)
def test_with_reference_latents_and_a_prompt_in_two_parts(model, job, level):
    """Reference latents are image tokens of the condition that has them; odd sides are padded to whole patches."""

    def prompt(*sizes):
        ((text, options),) = conditioning(job.caption)
        frames = [1] * (type(model.model).__name__ == "QwenImage")
        references = [torch.randn(1, 16, *frames, *size) for size in sizes]
        return [[text, {**options, "reference_latents": references} if references else options]]

    latent = torch.zeros(1, 16, *[1] * (type(model.model).__name__ == "QwenImage"), 16, 12)
    patched = attach(model, at(level))
    how = replace(job, cfg=2.0)
    sample_from(patched, how, latent, torch.randn_like(latent), prompt((8, 8), (5, 11)) + prompt(), prompt((16, 8)))
    assert last_report(patched).bytes_announced == last_report(patched).bytes_held > 0


SAMPLERS = [name for name in comfy.samplers.KSAMPLER_NAMES if name not in ("lcm", "dpm_adaptive", "dpm_fast")]


@pytest.mark.newest
@pytest.mark.filterwarnings("ignore:Should have:UserWarning")  # torchsde, about the last bit of a noise level
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if "cfg_pp" not in name])
def test_with_every_sampler(flux, job, sampler):
    """Some ask twice at a noise level, and the run keeps two histories; heunpp2 starts over at every step, and only
    its first one is as long as the warm-up."""
    patched = attach(flux, replace(presets.speed(3.0), warmup_steps=3))
    sample(patched, replace(job, sampler=sampler, steps=24))  # with gaps as long as any sampler looks back
    assert last_report(patched).bytes_announced == last_report(patched).bytes_held > 0


@pytest.mark.parametrize("patched_first", [True, False])
def test_with_context_windows_what_is_announced_is_not_cut_to_a_window(flux, guided, patched_first):
    """The host scales its estimate down to one window, in the same place."""
    from comfy_extras.nodes_context_windows import ContextWindowsManualNode

    def windows(model):
        how = dict(context_length=8, context_overlap=4, context_schedule="standard_static", context_stride=1)
        how |= dict(closed_loop=False, fuse_method="pyramid", dim=2, freenoise=False)
        return ContextWindowsManualNode.execute(model, **how).result[0]

    (_, plain_least), _ = announced(windows(flux), guided)
    (_, whole_least), _ = announced(flux, guided)
    assert plain_least < 0.6 * whole_least
    settings = presets.speed(2.5)
    patched = windows(attach(flux, settings)) if patched_first else attach(windows(flux), settings)
    (_, least), report = announced(patched, guided)
    assert (
        report.bytes_announced
        <= least - plain_least
        <= report.bytes_announced + flux.model.memory_required([1, 16, 8, 1])
    )
    assert report.bytes_announced == report.bytes_held > 0


class Copies(TorchDispatchMode):
    """Counts the tensors that go to ELSEWHERE."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._to_copy.default and (kwargs or {}).get("device") == ELSEWHERE:
            self.count += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(("level", "slots"), [("output", 1), ("stack", 1), ("block", 10), ("module", 14)])
def test_every_anchor_goes_where_it_was_told_to_and_the_picture_is_the_same(flux, guided, monkeypatch, level, slots):
    monkeypatch.setattr(memory, "CPU", ELSEWHERE)
    expected = sample(attach(flux, at(level, cache_device="gpu")), guided)
    patched = attach(flux, at(level, cache_device="cpu"))
    with Copies() as copies:
        output = sample(patched, guided)
    report = last_report(patched)
    stored = 2 * slots * report.calls  # of two conditions; the last step is forecast
    # Inside the network a slot goes as soon as it is computed; the session then sends again what is there already.
    assert copies.count == stored * (1 if level == "output" else 2)
    assert report.device == "cpu"
    assert torch.equal(output, expected)


@pytest.mark.parametrize("level", ["output", "module"])
def test_what_was_kept_elsewhere_is_gone_after_the_run(flux, guided, monkeypatch, watch, level):
    monkeypatch.setattr(memory, "CPU", ELSEWHERE)
    patched = attach(flux, replace(presets.speed(2.0), level=level, cache_device="cpu"))
    watched = watch(patched)
    sample(patched, guided)
    assert len(watched.references) > 3
    assert watched.alive() == []


class Card:
    """A GPU of which the host reports these bytes free, and a MODEL that is to be loaded on it."""

    def __init__(self, monkeypatch, model, free, loaded=0):
        self.patcher = model.clone()
        self.patcher.load_device = torch.device("cuda", 0)
        monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda device, *_: free)
        monkeypatch.setattr(self.patcher.model, "model_loaded_weight_memory", loaded, raising=False)
        there = [comfy.model_management.LoadedModel(self.patcher)]
        monkeypatch.setattr(comfy.model_management, "current_loaded_models", there)
        monkeypatch.setattr(comfy.model_management, "MIN_WEIGHT_MEMORY_RATIO", 0.0)


def test_there_is_room_if_the_hosts_own_minimum_is_left(flux, monkeypatch):
    least = math.ceil(comfy.model_management.minimum_inference_memory())
    card = Card(monkeypatch, flux, free=least + GIB)
    assert has_room(card.patcher, (1, 16, 16, 16), GIB)
    assert not has_room(card.patcher, (1, 16, 16, 16), GIB + 1)
    working = card.patcher.memory_required([1, 16, 512, 512]) + comfy.model_management.extra_reserved_memory()
    assert working > least + GIB
    assert not has_room(card.patcher, (1, 16, 512, 512), 0)


def test_weights_that_the_host_can_move_out_are_room(flux, monkeypatch):
    least = math.ceil(comfy.model_management.minimum_inference_memory())
    assert has_room(Card(monkeypatch, flux, free=least, loaded=GIB).patcher, (1, 16, 16, 16), GIB)
    assert not has_room(Card(monkeypatch, flux, free=least, loaded=GIB).patcher, (1, 16, 16, 16), GIB + 1)
    card = Card(monkeypatch, flux, free=least, loaded=GIB)
    monkeypatch.setattr(comfy.model_management, "MIN_WEIGHT_MEMORY_RATIO", 0.4)  # the share that weights always get
    assert not has_room(card.patcher, (1, 16, 16, 16), GIB)


def settled(card, at_level, **changes):
    """The run of a guider with CFG 1, as far as ``settle`` takes it."""
    settings = replace(presets.speed(2.0), **changes)
    guider = comfy.samplers.CFGGuider(card.patcher)
    guider.conds = {"positive": [{"uuid": 1, "cross_attn": torch.zeros(1, 4, 8)}], "negative": [{"uuid": 2}]}
    sigmas = [1.0 - k / 8 for k in range(9)]
    run = Run(Session(settings, sigmas, sampler=euler(sigmas)), at_level)
    settle(run, settings, guider, torch.zeros(1, 16, 16, 16))
    return run


LATENT = 16 * 16 * 16 * 4


@pytest.mark.parametrize(
    ("choice", "free", "on_cpu"), [("auto", GIB, False), ("auto", 0, True), ("gpu", 0, False), ("cpu", GIB, True)]
)
def test_auto_goes_by_the_free_memory(flux, monkeypatch, choice, free, on_cpu):
    free += math.ceil(comfy.model_management.minimum_inference_memory())
    run = settled(Card(monkeypatch, flux, free), OutputLevel(), cache_device=choice)
    assert run.session.storage == (torch.device("cpu") if on_cpu else None)
    assert run.announced == (4 * LATENT if on_cpu else 6 * LATENT)  # corrector and stabilizer stay with the latent
    messages = run.session.finish().messages
    if choice == "auto" and on_cpu:
        assert messages == ("cuda:0 has no room for 0.0 MiB of computed steps: the CPU keeps them",)
    else:
        assert messages == ()


def test_inside_the_network_too(flux, monkeypatch):
    from hicache_comfy.architectures import FLUX

    level = BlockLevel(FLUX, "block", OutputLevel())
    run = settled(Card(monkeypatch, flux, 0), level, cache_device="auto", level="block")
    assert level.storage == run.session.storage == torch.device("cpu")
    (message,) = run.session.finish().messages
    assert message == "cuda:0 has no room for 0.5 MiB of computed steps: the CPU keeps them"


def test_on_a_cpu_there_is_nothing_to_choose(flux, monkeypatch):
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda *_: 0)
    assert has_room(flux, (1, 16, 16, 16), GIB)
