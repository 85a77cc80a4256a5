"""Weights of any kind, loaded in part, and several models and runs in one graph: forecasts see none of it."""

import json
from dataclasses import replace

import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.utils
import pytest
import torch
from small_models.sampling import MODELS, conditioning, load_flux, load_qwen_image, sample, sample_from

from hicache_comfy import attach, last_report
from hicache_core import presets

LEVELS = ("output", "module")  # outside the network, and at the modules whose weights these are
CLOSE = 0.02  # relative RMS error; of one seed to another it is beyond 0.6


def error(a, b):
    return float((a - b).norm() / b.norm())


def settings(level, speed=2.0):
    return replace(presets.speed(speed), level=level)


def check(model, job, watch, level):
    """At speed 2 close to the model itself in half of the calls, at speed 1 the same; nothing is kept. The picture."""
    full = sample(model, job)
    patched = attach(model, settings(level))
    watched = watch(patched)
    assert error(sample(patched, job), full) < CLOSE
    report = last_report(patched)
    assert (report.calls, report.messages) == (job.steps // 2, ())
    assert report.bytes_announced == report.bytes_held > 0
    assert watched.references
    assert watched.alive() == []
    assert torch.equal(sample(attach(model, settings(level, speed=1.0)), job), full)
    return full


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_computing_in_half_precision(job, watch, dtype, level):
    model = load_qwen_image("train", dtype)
    assert model.model.manual_cast_dtype is None
    check(model, job, watch, level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_weights_that_are_cast_when_they_are_used(job, watch, dtype, level):
    model = load_flux("train", dtype)
    assert model.model.diffusion_model.double_blocks[0].img_attn.qkv.weight.dtype == dtype
    assert model.model.manual_cast_dtype == torch.float32
    check(model, job, watch, level)


@pytest.fixture(scope="module")
def quantised():
    """The small Flux as a checkpoint of scaled float8 weights, which the host runs with its quantised operations."""
    weights = comfy.utils.load_torch_file(str(MODELS / "diffusion_models" / "small_flux_train.safetensors"))
    kind = torch.tensor(list(json.dumps({"format": "float8_e4m3fn"}).encode()), dtype=torch.uint8)
    for name in [name for name, w in weights.items() if "blocks" in name and name.endswith(".weight") and w.ndim == 2]:
        layer, scale = name.removesuffix("weight"), weights[name].abs().max().float() / 448.0
        quantised = (weights[name] / scale).to(torch.float8_e4m3fn)
        weights |= {name: quantised, f"{layer}weight_scale": scale, f"{layer}comfy_quant": kind}
    return comfy.sd.load_diffusion_model_state_dict(weights, model_options={})


@pytest.mark.parametrize("level", LEVELS)
def test_the_hosts_quantised_operations(quantised, flux, job, watch, level):
    weight = quantised.model.diffusion_model.double_blocks[0].img_attn.qkv.weight
    assert type(weight).__name__ == "QuantizedTensor"
    full = check(quantised, job, watch, level)
    assert 0.0 < error(full, sample(flux, job)) < 0.1


@pytest.fixture
def half_a_model_free(flux, monkeypatch):
    """A card with room for what the host wants to keep free, and for half of the small Flux."""
    host = comfy.model_management
    monkeypatch.setattr(host, "is_device_cpu", lambda device: False)
    monkeypatch.setattr(host, "vram_state", host.VRAMState.NORMAL_VRAM)
    monkeypatch.setattr(host, "MIN_WEIGHT_MEMORY_RATIO", 0.0)
    monkeypatch.setattr(host, "minimum_inference_memory", lambda: 0)
    total = flux.memory_required([1, 16, 16, 16]) + host.extra_reserved_memory() + flux.model_size() // 2

    def free(device=None, torch_free_too=False):
        left = total - flux.loaded_size()
        return (left, left) if torch_free_too else left

    host.unload_all_models()
    monkeypatch.setattr(host, "get_free_memory", free)
    yield
    host.unload_all_models()


def in_part(model):
    return 0 < model.loaded_size() < model.model_size() and model.model.model_lowvram


@pytest.mark.parametrize("level", LEVELS)
def test_a_model_that_is_loaded_in_part(flux, job, watch, half_a_model_free, level):
    full = sample(flux, job)
    assert in_part(flux)
    assert torch.equal(full, check(flux, job, watch, level))


@pytest.mark.parametrize("level", LEVELS)
def test_weights_make_room_for_what_is_announced(flux, job, half_a_model_free, level):
    sample(flux, job)
    plain = flux.loaded_size()
    patched = attach(flux, settings(level))
    sample(patched, job)
    assert patched.loaded_size() <= plain - last_report(patched).bytes_announced < plain
    sample(attach(flux, settings(level, speed=1.0)), job)
    assert flux.loaded_size() == plain


def test_a_dynamic_model_on_a_cpu_is_a_plain_one():
    """What the host does with ModelPatcherDynamic here; where it is one, it is a ModelPatcher to us."""
    dynamic = getattr(comfy.model_patcher, "ModelPatcherDynamic", None)
    if dynamic is None:
        pytest.skip("this host has no dynamic models")
    assert issubclass(dynamic, comfy.model_patcher.ModelPatcher)
    model = load_flux("train")
    assert type(dynamic(model.model, model.load_device, model.offload_device)) is comfy.model_patcher.ModelPatcher


def two_stages(high, low, job, switch):
    """As Wan's high and low noise models: the first half of the steps by one, the rest by the other."""
    latent = torch.zeros(1, 16, job.side, job.side)
    generator = torch.Generator().manual_seed(job.seed)
    conditions = conditioning(job.caption), conditioning(None)
    noise = torch.randn(latent.shape, generator=generator)
    half = sample_from(high, job, latent, noise, *conditions, last_step=switch)
    nothing = torch.zeros_like(noise)
    return sample_from(low, job, half, nothing, *conditions, disable_noise=True, start_step=switch, last_step=job.steps)


@pytest.mark.parametrize("level", LEVELS)
def test_two_models_that_hand_over_the_latent(job, watch, level):
    """Patched alike, each run decides and keeps for itself; patched with speed 1, the pictures are the same."""
    job = replace(job, steps=20)
    high, low = load_flux("train"), load_flux("test")
    full = two_stages(high, low, job, 8)
    patched = [attach(model, settings(level)) for model in (high, low)]
    watched = [watch(model) for model in patched]
    assert error(two_stages(*patched, job, 8), full) < 3.0 * CLOSE  # no more than four calls before the switch
    reports = [last_report(model) for model in patched]
    assert [(r.calls, len(r.evaluations), r.messages) for r in reports] == [(4, 8, ()), (6, 12, ())]
    assert reports[1].evaluations[0].action == "computed"
    assert [w.alive() for w in watched] == [[], []]
    same = [attach(model, settings(level, speed=1.0)) for model in (high, low)]
    assert torch.equal(two_stages(*same, job, 8), full)
    mixed = two_stages(patched[0], low, job, 8)
    assert torch.equal(mixed, two_stages(patched[0], same[1], job, 8))


@pytest.mark.parametrize("level", LEVELS)
def test_one_patched_model_in_two_samplers(flux, job, level):
    """Each run is on its own, whatever the other sampled: sizes, steps and conditions."""
    patched = attach(flux, settings(level))
    first, second = job, replace(job, steps=12, side=12, cfg=2.0, sampler="dpmpp_2m", seed=7)
    alone = [sample(attach(flux, settings(level)), each) for each in (first, second)]
    assert all(map(torch.equal, [sample(patched, first), sample(patched, second)], alone))
    half = two_stages(patched, patched, job, 8)
    assert torch.equal(half, two_stages(attach(flux, settings(level)), attach(flux, settings(level)), job, 8))


@pytest.mark.parametrize("level", LEVELS)
def test_a_run_inside_another(flux, qwen_image, job, watch, level):
    """Between two steps of one patched model another one is sampled. (On one network the host cannot.)"""
    outer, inner = attach(flux, settings(level)), attach(qwen_image, settings(level))
    watched = [watch(outer), watch(inner)]
    alone, found = [sample(outer, job), sample(inner, job)], []

    def nest(k, *_):
        if k == 5:
            found.append(sample(inner, job))

    assert torch.equal(sample(outer, job, callback=nest), alone[0])
    assert torch.equal(found[0], alone[1])
    assert [last_report(model).calls for model in (outer, inner)] == [8, 8]
    assert [w.alive() for w in watched] == [[], []]


@pytest.mark.parametrize("before", LEVELS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_patched_model_patched_again(flux, job, before, level):
    """The last settings count, as if they were the only ones; the first model keeps its own."""
    once = attach(flux, settings(before, speed=4.0))
    expected = sample(once, job)
    again = attach(once, settings(level))
    assert torch.equal(sample(again, job), sample(attach(flux, settings(level)), job))
    assert last_report(again).calls == 8
    assert torch.equal(sample(once, job), expected)
    assert last_report(once).calls == 4
