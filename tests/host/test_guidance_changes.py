"""Guidance that changes in the middle of a run, and nodes that ask for more than one direction in a step."""

from dataclasses import replace

import comfy.samplers
import pytest
import torch
from compositions.laws import EXACT, FrozenDirections, relative
from compositions.workflow import basic, call, node
from small_models.sampling import sample
from tiny_models.rows import MODELS

from hicache_comfy import attach, last_report
from hicache_comfy.run import SEVERAL
from hicache_core import Session, presets

import nodes  # isort: skip  the host's

CHANGES = [(0.5, 1.0, 1.0), (0.2, 1.0, 1.0), (0.62, 1.0, 1.0), (0.3, 0.7, 2.0), (0.0, 0.3, 1.0)]  # from, to, CFG


@pytest.fixture(scope="module")
def workflow():
    row = MODELS["Qwen-Image"]
    return basic(row, row.build())


def frozen(model):
    """Every condition keeps the direction that the network gave it first: whatever is forecast is exact then."""
    model = model.clone()
    model.add_wrapper_with_key("apply_model", "frozen", FrozenDirections())
    return model


def off(workflow, model, speed):
    """How far the run with forecasts is from the full one, and its report."""
    full = workflow.run(frozen(model))
    patched = attach(frozen(model), presets.speed(speed))
    return relative(workflow.run(patched), full), last_report(patched)


@pytest.mark.skipif(node("nodes_custom_sampler", "CFGOverride") is None, reason="this host has no CFGOverride")
@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize(("steps", "speed"), [(8, 2.0), (20, 2.0), (50, 2.5)])
def test_frozen_directions_are_forecast_exactly_through_a_scale_that_jumps(workflow, steps, speed, change):
    start, end, scale = change
    model = call("nodes_custom_sampler", "CFGOverride", workflow.model, scale, start, end)
    wrong, report = off(replace(workflow, cfg=6.0, steps=steps), model, speed)
    assert wrong < EXACT
    assert report.forecasts > 0


def in_range(conditioning, start, end):
    return nodes.ConditioningSetTimestepRange().set_range(conditioning, start, end)[0]


@pytest.mark.parametrize("border", [0.2, 0.5, 0.62])
@pytest.mark.parametrize("steps", [20, 50])
def test_prompts_with_ranges_of_their_own_are_not_mixed_up(workflow, steps, border):
    first, second = workflow.positive, workflow.row.conditioning(3)
    both = nodes.ConditioningCombine().combine(in_range(first, 0.0, border), in_range(second, border, 1.0))[0]
    wrong, report = off(replace(workflow, positive=both, cfg=6.0, steps=steps), workflow.model, 2.5)
    assert wrong < EXACT
    assert report.forecasts > 0


def scheduled(model, scale_of):
    """A node that computes guidance with a scale of its own at every noise level."""
    model = model.clone()
    model.set_model_sampler_cfg_function(
        lambda args: args["uncond"] + scale_of(float(args["sigma"].max())) * (args["cond"] - args["uncond"])
    )
    return model


@pytest.mark.parametrize("scale_of", [lambda s: 6.0 if s > 0.7 else 1.5, lambda s: -3.0 if 0.4 < s < 0.8 else 6.0])
def test_scales_of_a_node_of_its_own_that_jump(workflow, scale_of):
    wrong, _ = off(replace(workflow, cfg=6.0, steps=30), scheduled(workflow.model, scale_of), 2.5)
    assert wrong < EXACT


def directions_of(monkeypatch):
    """Where directions are corrected: (position, direction), and whether anything was added."""
    seen, correct = [], Session.correct

    def watch(self, position, direction, guidance):
        added = correct(self, position, direction, guidance)
        seen.append((position, direction.clone(), added is not None))
        return added

    monkeypatch.setattr(Session, "correct", watch)
    return seen


@pytest.mark.parametrize("evenly", [True, False])
def test_a_gap_is_corrected_if_guidance_was_the_same_or_changed_evenly_over_it(flux, job, monkeypatch, evenly):
    seen = directions_of(monkeypatch)
    how = replace(job, cfg=3.0, steps=24)
    half = float(job_sigmas(flux, how)[12])
    settings = replace(presets.speed(2.0), schedule="listed", steps=(0, 4, 8, 15, 19, 23), stabilizer=False)
    sample(attach(scheduled(flux, lambda s: 3.0 + evenly * s if evenly or s > half else 1.5), settings), how)
    corrected = [position for position, _, added in seen if added]
    assert corrected == ([4, 8, 15, 19, 23] if evenly else [4, 8, 19, 23])


def job_sigmas(model, job):
    how = (job.steps, "cpu", job.sampler, "simple", 1.0)
    return comfy.samplers.KSampler(model, *how, model_options=model.model_options).sigmas


def outermost(model, wrapper):
    """With a PREDICT_NOISE wrapper around all that are there."""
    model.add_wrapper_with_key("predict_noise", "tiles", wrapper)
    wrappers = model.wrappers["predict_noise"]
    model.wrappers["predict_noise"] = {"tiles": wrappers.pop("tiles"), **wrappers}
    return model


def tiled(executor, x, *args, **kwargs):
    halves = [executor(half.contiguous(), *args, **kwargs) for half in x.chunk(2, dim=-1)]
    return torch.cat(halves, dim=-1)


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "uni_pc"])
def test_tiles_that_a_node_asks_for_one_after_the_other_are_not_corrected(flux, job, sampler):
    how = replace(job, cfg=2.0, sampler=sampler)
    patched = outermost(attach(flux, presets.speed(2.0)), tiled)
    result, report = sample(patched, how), last_report(patched)
    assert result.isfinite().all()
    assert not any(e.corrected for e in report.evaluations)
    assert report.messages.count(SEVERAL) == 1
    assert report.forecasts > 0


def test_tiles_inside_of_a_direction_are_corrected_as_a_whole(flux, job, monkeypatch):
    """The node is nearer to the network than we are: we see the whole latent once a step."""
    seen = directions_of(monkeypatch)
    patched = attach(flux, presets.speed(2.0))
    patched.add_wrapper_with_key("predict_noise", "tiles", tiled)
    result, report = sample(patched, replace(job, cfg=2.0)), last_report(patched)
    assert result.isfinite().all()
    assert SEVERAL not in report.messages
    assert any(added for *_, added in seen)
    assert len({direction.shape for _, direction, _ in seen}) == 1


def test_one_direction_at_every_noise_level_is_not_several(flux, job):
    patched = attach(flux, presets.speed(2.0))
    sample(patched, replace(job, cfg=2.0))
    assert SEVERAL not in last_report(patched).messages
    assert any(e.corrected for e in last_report(patched).evaluations)


def test_what_a_node_asks_at_another_noise_level_is_not_the_direction_of_the_step(flux, job, monkeypatch):
    """Its own question comes after that of the step, a little further down."""
    seen, expected = directions_of(monkeypatch), {}
    how = replace(job, cfg=2.0)
    sigmas = job_sigmas(flux, how).tolist()

    def ask_again(args):
        sigma = args["sigma"]
        lower = sigma * 0.999
        comfy.samplers.calc_cond_batch(args["model"], [args["cond"]], args["input"], lower, args["model_options"])
        expected[float(sigma.max())] = (args["input"] - args["denoised"]) / sigma.max()
        return args["denoised"]

    asking = flux.clone()
    asking.set_model_sampler_post_cfg_function(ask_again)
    patched = attach(asking, presets.speed(2.0))
    assert sample(patched, how).isfinite().all()
    assert last_report(patched).forecasts > 0
    assert any(added for *_, added in seen)
    assert all(position == int(position) for position, *_ in seen)
    for position, direction, _ in seen:
        assert torch.allclose(direction, expected[nearest(sigmas[int(position)], expected)], atol=1e-5)


def nearest(sigma, levels):
    return min(levels, key=lambda level: abs(level - sigma))
