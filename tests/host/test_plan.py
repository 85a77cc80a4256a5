"""What the browser is told before a run, against what the run then does."""

from dataclasses import replace

import pytest
import torch
from small_models import sampling

from hicache_comfy import Sampling, attach, executing, plan_ahead, remember_model
from hicache_comfy.events import Started
from hicache_core import Settings, presets

import nodes  # isort: skip
from comfy_extras.nodes_model_advanced import ModelSamplingSD3  # isort: skip

SPEED = replace(presets.speed(2.5), signal_floor=0.02)  # of 0 a run makes the one of its latent's size


def start_of(model, settings, sampling_, positive, latent):
    """The event with which a run of the host's KSampler (Advanced) starts."""
    events = []
    patched = attach(model, settings, on_event=events.append)
    nodes.KSamplerAdvanced().sample(
        patched,
        "enable",
        0,
        sampling_.steps,
        1.0,
        sampling_.sampler_name,
        sampling_.scheduler,
        positive,
        positive,
        latent,
        sampling_.start_at_step,
        sampling_.end_at_step,
        "disable",
        sampling_.denoise,
    )
    (started,) = (event for event in events if isinstance(event, Started))
    return started


@pytest.fixture
def start(flux):
    positive, latent = sampling.conditioning(None), {"samples": torch.zeros(1, 16, 8, 8)}
    return lambda settings, sampling_: start_of(flux, settings, sampling_, positive, latent)


@pytest.mark.parametrize(
    "how",
    [
        Sampling(12),
        Sampling(9, "heun", "normal"),
        Sampling(11, "uni_pc", "karras"),
        Sampling(10, "dpmpp_2m", "beta", denoise=0.5),
        Sampling(12, start_at_step=3, end_at_step=9),
        Sampling(12, "ddim", "sgm_uniform", start_at_step=5),
    ],
    ids=str,
)
@pytest.mark.parametrize("settings", [SPEED, replace(SPEED, start_percent=0.2, end_percent=0.8)])
def test_the_plan_is_that_of_the_run(flux, start, how, settings):
    remember_model("7", flux)
    preview, started = plan_ahead(settings, how, "7"), start(settings, how)
    assert preview.total == started.total
    assert set(preview.computed) == started.plan.computed


def test_a_model_not_seen_yet_counts_as_a_flow_model(flux):
    remember_model("7", flux)
    unseen, seen = plan_ahead(SPEED, Sampling(50), "8"), plan_ahead(SPEED, Sampling(50), "7")
    assert unseen.most == seen.most == 20


def test_the_model_of_a_node_is_that_of_its_workflow(flux, monkeypatch):
    """Ids of nodes are alike in most workflows; where a workflow is not known, the last model counts."""
    (shifted,) = ModelSamplingSD3().patch(flux, shift=9.0)
    for workflow, model in (("one", flux), ("two", shifted)):
        monkeypatch.setattr(executing, "workflow", lambda workflow=workflow: workflow)
        remember_model("7", model)
    plans = {of: plan_ahead(SPEED, Sampling(50), "7", of) for of in ("one", "two", "another")}
    assert plans["one"].computed != plans["two"].computed == plans["another"].computed


def test_a_sampler_that_cannot_be_sped_up_computes_every_step():
    assert plan_ahead(SPEED, Sampling(20, "lcm")).computed == tuple(range(20))


def test_names_of_other_packs_count_as_the_hosts_first():
    assert plan_ahead(SPEED, Sampling(20, "res_9s_of_a_pack", "beta57")) == plan_ahead(SPEED, Sampling(20))


def test_models_are_forgotten(flux):
    for node in range(200):
        remember_model(str(node), flux)
    from hicache_comfy.plan import _model_samplings

    assert len(_model_samplings) == 64


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"steps": 10_001},
        {"steps": True},
        {"steps": "20"},
        {"steps": 20, "denoise": float("nan")},
        {"steps": 20, "denoise": -0.1},
        {"steps": 20, "denoise": "all"},
        {"steps": 100, "denoise": 1e-6},
        {"steps": 20, "start_at_step": -1},
        {"steps": 20, "end_at_step": 1e9},
        {"steps": 20, "sampler_name": ["euler"]},
        {"steps": 20, "scheduler": None},
    ],
    ids=str,
)
def test_wrong_values_are_named(wrong):
    with pytest.raises(ValueError, match=list(wrong)[-1]):
        plan_ahead(Settings(), Sampling(**wrong))
